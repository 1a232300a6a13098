"""What a granted approval gives a workflow."""

from dataclasses import dataclass
from typing import Any

from placet.enums import ApprovalStatus
from placet.errors import Expired, NotCleared, Rejected, Withdrawn
from placet.model import Approval, Decision

_REFUSALS: dict[ApprovalStatus, type[NotCleared]] = {
    ApprovalStatus.REJECTED: Rejected,
    ApprovalStatus.EXPIRED: Expired,
    ApprovalStatus.WITHDRAWN: Withdrawn,
}


@dataclass(frozen=True, slots=True)
class Clearance:
    """Leave to do what ``payload`` says, once, by a step with ``clearance=``.

    ``digest`` is that of the document that the approvers saw.
    """

    payload: Any
    approval: Approval
    decisions: tuple[Decision, ...]
    digest: str


def clear(approval: Approval) -> Clearance:
    """Give the clearance of a resolved approval. Raises Rejected, Expired or Withdrawn."""
    if refused := _REFUSALS.get(approval.status):
        raise refused(approval)
    return Clearance(
        payload=approval.payload,
        approval=approval,
        decisions=tuple(approval.decisions),
        digest=approval.digest,
    )
