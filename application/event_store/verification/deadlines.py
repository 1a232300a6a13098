"""Deadlines and reminders, against the policy that was frozen in the request.

The log has no calendars. Working time is never shorter than the span that it is counted for.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from application.event_store.verification.audit import Step
from application.event_store.verification.findings import Finding
from domain.approvals.deadline_times import DeadlineTimes, reminders_before
from domain.approvals.deadlines import times_after_escalation
from domain.approvals.events import (
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    ApprovalRequested,
)
from domain.approvals.policy import ExpiryAction, Policy
from domain.approvals.state import Approval

KIND = "decision"
POLICY = "the policy that was frozen in the request does not allow it"


def requested(step: Step, approval: Approval) -> Iterator[Finding]:
    """The deadline and the reminders are those that the policy asks for."""
    event, at = step.event.recorded.event, step.event.recorded.at
    assert isinstance(event, ApprovalRequested)
    policy = approval.policy
    first = None
    if event.deadline is not None:
        first = DeadlineTimes(deadline=event.deadline, reminders=event.reminders)
    if problem := _flaw(policy, first, at):
        yield step.finding(KIND, problem, POLICY)
    counted = policy.calendar is not None and policy.on_expiry is ExpiryAction.ESCALATE
    if counted is not (event.after_escalation is not None):
        message = "its times after an escalation are not those that the policy asks for"
        yield step.finding(KIND, message, POLICY)
    elif counted and event.deadline is not None:
        problem = _flaw(policy, event.after_escalation, event.deadline)
        if problem is not None:
            yield step.finding(KIND, f"after an escalation, {problem}", POLICY)


def _flaw(policy: Policy, times: DeadlineTimes | None, begin: datetime) -> str | None:
    """Return what is wrong with times that are counted from a moment, or None."""
    if times is None:
        return None if policy.within is None else "there is no deadline"
    span, within = times.deadline - begin, policy.within or timedelta(0)
    exact = policy.calendar is None
    if span < within or (exact and policy.within is not None and span != within):
        return f"the deadline is {times.deadline}, but the policy says {within} from {begin}"
    if exact:
        right = reminders_before(times.deadline, policy.remind_before, after=begin)
        wrong = times.reminders != right
    else:
        latest = times.deadline - min(policy.remind_before, default=span)
        wrong = (
            list(times.reminders) != sorted(set(times.reminders))
            or len(times.reminders) > len(policy.remind_before)
            or any(not begin < reminder <= latest for reminder in times.reminders)
        )
    return f"the reminders at {times.reminders} are not those of the policy" if wrong else None


def expired(step: Step) -> Iterator[Finding]:
    """An expiry comes at the deadline, and does what the policy says."""
    event, at = step.event.recorded.event, step.event.recorded.at
    assert isinstance(event, ApprovalExpired)
    approval = step.head.execution.approvals[event.ordinal]
    deadline = approval.current_deadline
    if deadline is None or at < deadline:
        message = f"approval {event.ordinal} expires, but its deadline is {deadline}"
        yield step.finding(KIND, message, POLICY)
    if event.action is not approval.policy.on_expiry:
        message = f"expiry does {event.action}, but the policy says {approval.policy.on_expiry}"
        yield step.finding(KIND, message, POLICY)
    elif event.action is ExpiryAction.ESCALATE and approval.escalated_at is None:
        message = f"approval {event.ordinal} expires, but it was not escalated before"
        yield step.finding(KIND, message, POLICY)


def escalated(step: Step) -> Iterator[Finding]:
    """An escalation comes once, at the deadline, and moves it by its span."""
    event, at = step.event.recorded.event, step.event.recorded.at
    assert isinstance(event, ApprovalEscalated)
    assert step.before is not None
    before = step.before.approvals[event.ordinal]
    policy = before.policy
    if policy.on_expiry is not ExpiryAction.ESCALATE or event.groups != policy.escalate_to:
        message = f"{event.groups!r} may decide, but the policy says {policy.escalate_to!r}"
        yield step.finding(KIND, message, POLICY)
    if before.escalated_at is not None:
        message = f"approval {event.ordinal} is escalated a second time"
        yield step.finding(KIND, message, POLICY)
    deadline = before.current_deadline
    if deadline is None or at < deadline:
        message = f"approval {event.ordinal} is escalated, but its deadline is {deadline}"
        yield step.finding(KIND, message, POLICY)
    elif event.deadline != (moved := times_after_escalation(before).deadline):
        message = f"its deadline is moved to {event.deadline}, but the policy says {moved}"
        yield step.finding(KIND, message, POLICY)


def reminded(step: Step) -> Iterator[Finding]:
    """A reminder comes when it is due."""
    event, at = step.event.recorded.event, step.event.recorded.at
    assert isinstance(event, ApprovalReminded)
    assert step.before is not None
    due = step.before.approvals[event.ordinal].reminders_due
    if event.due_at not in due or at < event.due_at:
        message = f"a reminder is sent for {event.due_at}, which was not due"
        yield step.finding(KIND, message, POLICY)
