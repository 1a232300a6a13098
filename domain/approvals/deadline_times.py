"""When deadlines and the reminders before them are due, and which of them a request can have.

They are computed once, at the request, and recorded. So a later change of a calendar changes none.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from domain.approvals.policy import ExpiryAction, Policy
from domain.approvals.working_hours import LONGEST, WorkingHours
from domain.refusals import Refusal, RefusalCode
from domain.values import Value


class DeadlineTimes(Value, frozen=True, kw_only=True):
    """A deadline, and the times of the reminders before it, the earliest first."""

    deadline: datetime
    reminders: tuple[datetime, ...] = ()


class RequestTimes(NamedTuple):
    """The times of a request. ``escalated``: those after an escalation, if a calendar counts."""

    first: DeadlineTimes | None = None
    escalated: DeadlineTimes | None = None


_TOO_EARLY = "policy.remindBefore has a span that is not shorter than the time to the deadline"
_READ_SO_FAR = f"calendars are read {LONGEST.days} days ahead"


def times_of(
    policy: Policy, deadline: datetime | None, calendar: WorkingHours | None, now: datetime
) -> RequestTimes:
    """Compute the times of a new request with this deadline, or with ``policy.within``.

    Raises Refusal with INVALID_INPUT if the request can't have them.
    """
    if deadline is not None and deadline <= now:
        raise _invalid(f"deadline {deadline.isoformat()} is in the past: give a later one")
    if policy.calendar is not None:
        if calendar is None:
            raise _invalid(
                f"policy.calendar names {policy.calendar!r}, which this server does not know: "
                "give a calendar of the file PLACET_CALENDARS, or leave it out"
            )
        return _in_calendar(policy, deadline, calendar, now)
    if policy.within is not None:
        deadline = now + policy.within
    if deadline is None:
        return RequestTimes()
    spans = policy.remind_before
    if spans and max(spans) >= deadline - now:
        raise _invalid(_TOO_EARLY)
    reminders = reminders_before(deadline, spans, after=now)
    return RequestTimes(DeadlineTimes(deadline=deadline, reminders=reminders))


def reminders_before(
    deadline: datetime, spans: tuple[timedelta, ...], *, after: datetime
) -> tuple[datetime, ...]:
    """Return the times of the reminders, the earliest first, without those that are over."""
    return tuple(sorted({at for span in spans if (at := deadline - span) > after}))


def _in_calendar(
    policy: Policy, given: datetime | None, calendar: WorkingHours, now: datetime
) -> RequestTimes:
    if given is not None and given - now > LONGEST:
        raise _invalid(f"deadline is too late for policy.calendar: {_READ_SO_FAR}")
    spans = policy.remind_before
    if policy.within is not None and spans and max(spans) >= policy.within:
        raise _invalid(_TOO_EARLY)
    deadline = given or _counted(policy, calendar, now)
    reminders = {calendar.before(deadline, span) for span in spans}
    if any(at is None or at <= now for at in reminders):
        raise _invalid(_TOO_EARLY)
    first = _times(deadline, reminders, now)
    if policy.on_expiry is not ExpiryAction.ESCALATE:
        return RequestTimes(first)
    moved = deadline + (deadline - now) if given else _counted(policy, calendar, deadline)
    later = {calendar.before(moved, span) for span in spans}
    return RequestTimes(first, _times(moved, later, deadline))


def _times(deadline: datetime, reminders: set[datetime | None], after: datetime) -> DeadlineTimes:
    left = sorted(at for at in reminders if at is not None and at > after)
    return DeadlineTimes(deadline=deadline, reminders=tuple(left))


def _counted(policy: Policy, calendar: WorkingHours, begin: datetime) -> datetime:
    assert policy.within is not None
    end = calendar.after(begin, policy.within)
    if end is None:
        message = f"policy.within is too long for the calendar {policy.calendar!r}: {_READ_SO_FAR}"
        raise _invalid(message)
    return end


def _invalid(message: str) -> Refusal:
    return Refusal(RefusalCode.INVALID_INPUT, message)
