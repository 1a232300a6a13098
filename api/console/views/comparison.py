"""What changed since the round before, or since the workflow asked for the same last."""

from collections.abc import Callable
from typing import Any

import msgspec

from api.console.views.decisions import Decided, decided
from api.console.views.differences import Difference, differences
from domain.approvals.document import document_of
from domain.approvals.state import Approval
from domain.execution.state import Execution

# What a document says of itself, and so differs in each round.
_OF_ITSELF = {"round", "deadline", "executionId"}


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The differences to an earlier approval. ``said``: how that was decided, if it is a round."""

    id: str
    name: str
    status: str
    of_round: bool
    differences: list[Difference]
    said: list[Decided]


def compared(
    before_of: Execution,
    before: Approval,
    execution: Execution,
    approval: Approval,
    text: Callable[..., str],
) -> Comparison:
    """Compare an approval with an earlier one: rounds as documents, others by their payload."""
    of_round = before_of.id == execution.id
    if of_round:
        found = differences([_document(before_of, before), _document(execution, approval)])
        found = [Difference(one.path.removeprefix("payload."), one.values) for one in found]
    else:
        found = differences([before.payload, approval.payload])
    return Comparison(
        id=str(before.id),
        name=text("round %(number)s", number=before.round) if of_round else text("the last time"),
        status=before.status.value,
        of_round=of_round,
        differences=found,
        said=[decided(one, text) for one in before.counting_decisions] if of_round else [],
    )


def _document(execution: Execution, approval: Approval) -> dict[str, Any]:
    document = document_of(execution, approval)
    return {name: value for name, value in document.items() if name not in _OF_ITSELF}
