"""The read model of approvals: one row for each approval, made from the execution's state."""

from collections.abc import Sequence
from typing import Any

from rpds import HashTrieMap

from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.serialization.state_codec import encode_state
from projections.approvals.span_classes import span_class
from projections.approvals.statistics import asked_groups, ending_of, escalation_day
from projections.querying.full_text import approval_text
from projections.querying.hashed_terms import array, audience, barred, deciders
from projections.runtime.read_model import Change, ReadModel, header


def _render(changes: Sequence[Change]) -> dict[str, Any]:
    touched = [
        (state, state.approvals[ordinal], ordinal in change.reworded)
        for change in changes
        for ordinal, state in change.touched.items()
    ]
    endings = [ending_of(approval) for _, approval, _ in touched]
    worded = [(state, approval) for state, approval, reworded in touched if reworded]
    return {
        "execution_id": [state.id for state, _, _ in touched],
        "ordinal": [approval.ordinal for _, approval, _ in touched],
        "version": [state.version for state, _, _ in touched],
        "status": [approval.status.value for _, approval, _ in touched],
        "workflow": [state.workflow for state, _, _ in touched],
        "queue": [state.queue for state, _, _ in touched],
        "audience": [array(audience(state, approval)) for state, approval, _ in touched],
        "deciders": [array(deciders(approval)) for _, approval, _ in touched],
        "barred": [array(barred(state, approval)) for state, approval, _ in touched],
        "requested_at": [approval.requested_at for _, approval, _ in touched],
        "deadline": [approval.current_deadline for _, approval, _ in touched],
        "pending_until": [approval.pending_until for _, approval, _ in touched],
        "lasted": [span_class(approval) for _, approval, _ in touched],
        "asked": [asked_groups(approval) for _, approval, _ in touched],
        "outcome": [None if ending is None else ending.outcome for ending in endings],
        "ended_on": [None if ending is None else ending.day for ending in endings],
        "took": [None if ending is None else ending.took for ending in endings],
        "escalated_on": [escalation_day(approval) for _, approval, _ in touched],
        "body": [_body(state, approval) for state, approval, _ in touched],
        "term_execution_id": [state.id for state, _ in worded],
        "term_ordinal": [approval.ordinal for _, approval in worded],
        "document": [approval_text(state, approval) for state, approval in worded],
    }


def _body(execution: Execution, approval: Approval) -> bytes:
    only = HashTrieMap({approval.ordinal: approval})
    return encode_state(header(execution, approvals=only))


APPROVALS = ReadModel(
    "approvals",
    version=13,
    tables=("approvals", "approval_days", "approval_terms"),
    key=("execution_id", "ordinal"),
    render=_render,
)
