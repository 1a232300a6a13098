"""Deadlines: when they are, and what happens at them and before."""

from datetime import datetime

from msgspec.structs import replace

from domain.approvals.commands import (
    ActOnDeadline,
)
from domain.approvals.deadline_times import DeadlineTimes, reminders_before
from domain.approvals.decide import resume_after
from domain.approvals.events import (
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
)
from domain.approvals.evolve import approval_with, resolve, with_approval
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import Approval, ApprovalStatus, ResolutionCause
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Events,
    Recorded,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import check_transition
from domain.refusals import Refusal, RefusalCode


def act(state: Execution, command: ActOnDeadline, now: datetime) -> Events:
    """Do what is due at the deadline of a pending approval, or before it.

    It is a repeat if the approval is resolved. A deadline that was moved meanwhile is not acted on
    for its earlier time.
    """
    approval = state.approvals[command.ordinal]
    if not approval.pending:
        return ()
    due_at = approval.next_due
    if command.deadline_version != approval.deadline_version or due_at is None or now < due_at:
        message = f"nothing is due for approval {approval.id} before {due_at}"
        raise Refusal(RefusalCode.VERSION_CONFLICT, message)
    assert approval.current_deadline is not None
    if now < approval.current_deadline:
        return _remind(state, approval, now)
    if approval.policy.on_expiry is ExpiryAction.ESCALATE and approval.escalated_at is None:
        return _escalate(state, approval)
    check_transition(state, ApprovalExpired)
    expired = ApprovalExpired(ordinal=approval.ordinal, action=approval.policy.on_expiry)
    return resume_after(state, expired)


def _remind(state: Execution, approval: Approval, now: datetime) -> Events:
    check_transition(state, ApprovalReminded)
    return tuple(
        ApprovalReminded(ordinal=approval.ordinal, due_at=due_at)
        for due_at in approval.reminders_due
        if due_at <= now
    )


def _escalate(state: Execution, approval: Approval) -> tuple[Event, ...]:
    check_transition(state, ApprovalEscalated)
    times = times_after_escalation(approval)
    return (
        ApprovalEscalated(
            ordinal=approval.ordinal,
            groups=approval.policy.escalate_to,
            deadline=times.deadline,
            reminders=times.reminders,
        ),
    )


def times_after_escalation(approval: Approval) -> DeadlineTimes:
    """Return the times that an escalation sets: the deadline is later by the span of the first."""
    if approval.after_escalation is not None:
        return approval.after_escalation
    deadline = approval.current_deadline
    assert deadline is not None
    moved = deadline + (approval.policy.within or deadline - approval.requested_at)
    reminders = reminders_before(moved, approval.policy.remind_before, after=deadline)
    return DeadlineTimes(deadline=moved, reminders=reminders)


def reminded(state: Execution, recorded: Recorded, event: ApprovalReminded) -> Changes:
    """Record that the reminder was sent."""
    approval = approval_with(state, event.ordinal)
    return with_approval(
        state,
        replace(
            approval,
            reminders_due=tuple(at for at in approval.reminders_due if at > event.due_at),
            reminders_sent=approval.reminders_sent + 1,
            reminded_version=recorded.version,
        ),
    )


def escalated(state: Execution, recorded: Recorded, event: ApprovalEscalated) -> Changes:
    """Add groups that may decide from now on, and move the deadline."""
    approval = approval_with(state, event.ordinal)
    return with_approval(
        state,
        replace(
            approval,
            escalated_to=(*approval.escalated_to, *event.groups),
            escalated_at=recorded.at,
            escalated_version=recorded.version,
            moved_deadline=event.deadline,
            reminders_due=event.reminders,
        ),
    )


def expired(state: Execution, recorded: Recorded, event: ApprovalExpired) -> Changes:
    """Resolve the approval as its policy says for a missed deadline."""
    granted = event.action is ExpiryAction.GRANT
    return resolve(
        state,
        recorded,
        approval_with(state, event.ordinal),
        ApprovalStatus.GRANTED if granted else ApprovalStatus.EXPIRED,
        ResolutionCause.EXPIRY,
    )
