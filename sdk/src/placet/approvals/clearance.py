"""What a granted approval gives to the code that asked for it."""

from dataclasses import dataclass
from typing import Any

from placet.errors import Expired, Internal, NotCleared, Rejected, Withdrawn
from placet.models.enums import ApprovalStatus, Verdict
from placet.models.responses import ApprovalRecord, Decision

_REFUSALS: dict[ApprovalStatus, type[NotCleared]] = {
    ApprovalStatus.REJECTED: Rejected,
    ApprovalStatus.EXPIRED: Expired,
    ApprovalStatus.WITHDRAWN: Withdrawn,
}


@dataclass(frozen=True, slots=True)
class Clearance:
    """Permission to do what ``payload`` says, once, in a step with ``clearance=``.

    ``digest`` is that of the document that the approvers saw.
    """

    payload: Any
    approval: ApprovalRecord
    decisions: tuple[Decision, ...]
    digest: str

    @property
    def answers(self) -> tuple[Any, ...]:
        """What those who granted filled into the approval's form, in the order of decisions.

        People who filled in nothing are left out. The service has no forms yet, so it is empty.
        """
        granted = (each for each in self.decisions if each.verdict is Verdict.GRANTED)
        return tuple(each.answers for each in granted if each.answers is not None)


def clear(approval: ApprovalRecord) -> Clearance:
    """Return the clearance of a resolved approval. Raises Rejected, Expired or Withdrawn.

    Raises Internal for one that is not resolved.
    """
    if refused := _REFUSALS.get(approval.status):
        raise refused(approval)
    if approval.status is not ApprovalStatus.GRANTED:
        msg = f"approval {approval.key!r} is {approval.status}, which clears nothing"
        raise Internal(msg)
    return Clearance(
        payload=approval.payload,
        approval=approval,
        decisions=tuple(approval.decisions),
        digest=approval.digest,
    )
