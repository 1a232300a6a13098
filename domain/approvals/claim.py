"""Claims: "I am on it". A claim is seen by all, binds nobody, and ends after an hour."""

from datetime import datetime

from msgspec.structs import replace

from domain.approvals.commands import (
    ClaimApproval,
    UnclaimApproval,
)
from domain.approvals.events import (
    ApprovalClaimed,
    ApprovalUnclaimed,
)
from domain.approvals.evolve import approval_with, with_approval
from domain.execution.events import (
    Events,
    Recorded,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import check_transition
from domain.names import same_name
from domain.refusals import Refusal, RefusalCode


def claim(state: Execution, command: ClaimApproval, now: datetime) -> Events:
    """Claim a pending approval. The last claim wins; a repeat of the current one adds nothing."""
    approval = state.approvals[command.ordinal]
    claimant = approval.claimant(now)
    if claimant is not None and same_name(claimant.id, command.by.id):
        return ()
    if not approval.pending:
        message = f"approval {approval.id} is already {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    check_transition(state, ApprovalClaimed)
    return (ApprovalClaimed(ordinal=approval.ordinal),)


def unclaim(state: Execution, command: UnclaimApproval, now: datetime) -> Events:
    """End the caller's claim. It is a repeat if the caller has none now."""
    approval = state.approvals[command.ordinal]
    claimant = approval.claimant(now)
    if claimant is None or not same_name(claimant.id, command.by.id):
        return ()
    if not approval.pending:
        return ()
    check_transition(state, ApprovalUnclaimed)
    return (ApprovalUnclaimed(ordinal=approval.ordinal),)


def claimed(state: Execution, recorded: Recorded, event: ApprovalClaimed) -> Changes:
    """Record who claimed the approval."""
    changed = replace(
        approval_with(state, event.ordinal),
        claimed_by=recorded.actor,
        claimed_at=recorded.at,
        claimed_version=recorded.version,
    )
    return with_approval(state, changed)


def unclaimed(state: Execution, recorded: Recorded, event: ApprovalUnclaimed) -> Changes:
    """Record that nobody has claimed the approval."""
    changed = replace(
        approval_with(state, event.ordinal),
        claimed_by=None,
        claimed_at=None,
        claimed_version=recorded.version,
    )
    return with_approval(state, changed)
