"""Taking back a grant before it is redeemed."""

from msgspec.structs import replace

from domain import authorization
from domain.approvals.commands import (
    RevokeApproval,
)
from domain.approvals.events import (
    ApprovalRevoked,
)
from domain.approvals.evolve import approval_with, with_approval
from domain.approvals.state import Approval, ApprovalStatus, Grant, ResolutionCause, Verdict
from domain.execution.event import (
    ReasonContent,
)
from domain.execution.events import (
    Events,
    Recorded,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import check_transition
from domain.names import same_name
from domain.refusals import Refusal, RefusalCode
from domain.values import Principal


def revoke(state: Execution, command: RevokeApproval) -> Events:
    """Take back a grant that was not redeemed. It is a repeat if it was revoked already."""
    approval = state.approvals[command.ordinal]
    if approval.status is ApprovalStatus.REVOKED:
        return ()
    if approval.redeemed_version:
        message = f"approval {approval.id} was already redeemed, so it can't be revoked"
        raise Refusal(RefusalCode.ALREADY_REDEEMED, message)
    if approval.status is not ApprovalStatus.GRANTED:
        message = (
            f"approval {approval.id} is {approval.status}; only a granted approval can be revoked"
        )
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    check_transition(state, ApprovalRevoked)
    if objection := objection_to(command.by, approval):
        raise Refusal(RefusalCode.NOT_ELIGIBLE, objection)
    return (
        ApprovalRevoked(ordinal=approval.ordinal, content=ReasonContent(reason=command.reason)),
    )


def objection_to(by: Principal, approval: Approval) -> str | None:
    """Return why the principal may not revoke a grant, or None."""
    if not authorization.OPERATORS.isdisjoint(by.roles):
        return None
    if approval.resolution is ResolutionCause.EXPIRY:
        return (
            "a grant by expiry is revoked only by the role OPERATOR or ADMIN; "
            f"{authorization.held(by.groups)}"
        )
    if any(
        decision.verdict is Verdict.GRANTED and same_name(decision.by.id, by.id)
        for decision in approval.counting_decisions
    ):
        return None
    return (
        "only those who granted the approval, or the roles OPERATOR and ADMIN, can revoke it; "
        f"{authorization.held(by.groups)}"
    )


def revoked(state: Execution, recorded: Recorded, event: ApprovalRevoked) -> Changes:
    """Resolve the approval as revoked, which gives a waiting worker something to do."""
    granted = approval_with(state, event.ordinal, ApprovalStatus.GRANTED)
    assert granted.resolution is not None
    assert granted.resolved_at is not None
    changed = replace(
        granted,
        revoked_grant=Grant(
            cause=granted.resolution, at=granted.resolved_at, version=granted.resolved_version
        ),
        status=ApprovalStatus.REVOKED,
        resolution=ResolutionCause.REVOCATION,
        resolved_at=recorded.at,
        resolved_version=recorded.version,
    )
    return {
        **with_approval(state, changed),
        "woken_version": recorded.version,
    }
