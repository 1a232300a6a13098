"""Whether a message still matters at the moment when it is sent."""

from application.notifications.message import ASKS, MessageKind
from application.notifications.people import Addressee
from domain import authorization
from domain.approvals import eligibility
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.state import Execution


def why_not(
    kind: MessageKind, version: int, person: Addressee, execution: Execution, approval: Approval
) -> str | None:
    """Return why a person is not told any more of an event of this version, or None."""
    if not person.active:
        return "the person was deactivated"
    if not authorization.sees_approval(person.principal, execution, approval):
        return "the person may not see the approval"
    if kind in ASKS:
        return why_not_asked(person, execution, approval)
    if kind is MessageKind.TOO_FEW_PEOPLE and not approval.pending:
        return "the approval is resolved"
    if kind in {MessageKind.COMMENTED, MessageKind.CHANGES_REQUESTED}:
        until = approval.revoked_grant.version if approval.revoked_grant else None
        if (until or approval.resolved_version) > version:
            return "the approval was resolved meanwhile"
    if kind is MessageKind.RESOLVED and approval.status is ApprovalStatus.REVOKED:
        return "the grant was revoked meanwhile"
    return None


def why_not_asked(person: Addressee, execution: Execution, approval: Approval) -> str | None:
    """Return why a person is not asked to decide now, or None."""
    if not approval.pending:
        return "the approval is resolved"
    if approval.decision_that_bars(person.id) is not None:
        return "the person has decided"
    reason = next(eligibility.objections(person.principal, execution, approval), None)
    return None if reason is None else f"the person may not decide now: {reason}"
