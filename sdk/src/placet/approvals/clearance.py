"""What a granted approval gives to the code that asked for it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from placet._util.serde import Read, as_it_is
from placet.errors import (
    ChangesRequested,
    Expired,
    Internal,
    NotCleared,
    Rejected,
    Revoked,
    Withdrawn,
)
from placet.models.enums import ApprovalStatus, Verdict
from placet.models.responses import ApprovalRecord, Decision

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    A = TypeVar("A", default=Any)
else:
    from typing import TypeVar

    A = TypeVar("A")

_REFUSALS: dict[ApprovalStatus, type[NotCleared]] = {
    ApprovalStatus.REJECTED: Rejected,
    ApprovalStatus.EXPIRED: Expired,
    ApprovalStatus.WITHDRAWN: Withdrawn,
    ApprovalStatus.CHANGES_REQUESTED: ChangesRequested,
    ApprovalStatus.REVOKED: Revoked,
}


@dataclass(frozen=True, slots=True)
class Clearance(Generic[A]):
    """Permission to do what ``payload`` says, once, in a step with ``clearance=``.

    ``digest`` is that of the document that the approvers saw. ``read`` gives answers the type of
    the form.
    """

    payload: Any
    approval: ApprovalRecord
    decisions: tuple[Decision, ...]
    digest: str
    read: Read = field(default=as_it_is, repr=False, compare=False)

    @property
    def answers(self) -> tuple[A, ...]:
        """What those who granted answered to the approval's form, in the order of decisions.

        With a model or dataclass as form they have this type. Empty without a form, or if the
        deadline granted. Raises ValueError for answers that are not of the type.
        """
        return tuple(
            self.read(each.answers)
            for each in self.decisions
            if each.verdict is Verdict.GRANTED and each.counts and each.answers is not None
        )


def clear(approval: ApprovalRecord) -> Clearance:
    """Return the clearance of a granted approval.

    Raises the NotCleared that says how it was resolved otherwise, and Internal for an approval that
    is not resolved.
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
