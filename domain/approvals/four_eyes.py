"""Four eyes: nobody decides about their own request, unless the policy allows it."""

from collections.abc import Iterator

from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.names import may_be_same_person


def four_eyes(person: str, execution: Execution, approval: Approval) -> Iterator[str]:
    """Yield why a person is too close to the request to decide it; nothing if they are not."""
    if approval.policy.allow_initiator:
        return
    if may_be_same_person(execution.initiator.id, person):
        yield "four eyes: this person started the execution"
    if may_be_same_person(execution.on_behalf_of, person):
        yield "four eyes: the execution was started on behalf of this person"
    if may_be_same_person(approval.requested_by.id, person):
        yield "four eyes: this person requested the approval"
