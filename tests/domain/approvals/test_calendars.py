"""Deadlines and reminders in working time: computed at the request, recorded, and never again."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.approvals.document import policy_json
from domain.approvals.events import ApprovalEscalated, ApprovalExpired, ApprovalRequested
from domain.approvals.policy import ExpiryAction, Policy
from domain.approvals.working_hours import Hours, WorkingHours
from domain.execution.events import Resumed
from domain.refusals import RefusalCode
from tests.domain.ask import act_on_deadline, needs, policy, request, start
from tests.domain.scenario import Asked, given

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def working(begin: int, end: int, *holidays: date) -> WorkingHours:
    """From Monday to Friday, in Berlin, from one hour to another."""
    week = [[Hours(begin * HOUR, end * HOUR)]] * 5 + [[], []]
    return WorkingHours(ZoneInfo("Europe/Berlin"), week, holidays)


OFFICE = working(9, 17)
# The story begins on Monday, 2 March 2026, 13:00 in Berlin: four hours are left of that day.
MONDAY = datetime(2026, 3, 2, 16, tzinfo=UTC)


def in_office(**rest: Any) -> Policy:
    return policy(needs("finance"), calendar="office", **rest)


def asked(wanted: Policy, hours: WorkingHours | None = OFFICE, **rest: Any) -> Asked:
    return given().when(start()).when(request(policy=wanted, working_hours=hours, **rest))


def test_the_time_to_decide_is_working_time() -> None:
    history = asked(in_office(within=8 * HOUR))
    deadline = history.approval(1).deadline
    assert deadline is not None
    # What is left of Monday, and the rest on Tuesday.
    assert deadline == history.approval(1).requested_at + DAY
    assert history.approval(1).current_deadline == deadline


def test_reminders_count_back_in_working_time_and_are_recorded() -> None:
    history = asked(in_office(within=8 * HOUR, remind_before=(5 * HOUR, HOUR)))
    approval = history.approval(1)
    assert approval.deadline is not None
    assert approval.reminders_due == (
        approval.deadline - DAY + 3 * HOUR,
        approval.deadline - HOUR,
    )
    assert all(9 <= at.hour + 1 < 17 for at in approval.reminders_due), "in Berlin"


def test_a_deadline_that_is_given_stays_and_its_reminders_count_working_time() -> None:
    monday_morning = MONDAY + timedelta(days=7, hours=-7)
    history = asked(in_office(remind_before=(3 * HOUR,)), deadline=monday_morning)
    assert history.approval(1).deadline == monday_morning
    # One hour of Monday from nine to ten, and two of Friday.
    assert history.approval(1).reminders_due == (datetime(2026, 3, 6, 14, tzinfo=UTC),)


def test_an_escalation_moves_the_deadline_by_the_span_in_the_calendar() -> None:
    wanted = in_office(
        within=8 * HOUR,
        remind_before=(HOUR,),
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("chiefs",),
    )
    history = asked(wanted, working(9, 17, date(2026, 3, 4)))
    first = history.approval(1).deadline
    assert first is not None

    escalated = history.after(first - history.now).when(act_on_deadline()).then(ApprovalEscalated)

    moved = escalated.approval(1).current_deadline
    assert moved == first + 2 * DAY, "Wednesday is a holiday"
    assert escalated.approval(1).reminders_due == (moved - HOUR,)
    escalated.after(2 * DAY).when(act_on_deadline()).then(ApprovalExpired, Resumed)


def test_a_later_change_of_the_calendar_changes_no_deadline() -> None:
    wanted = in_office(within=8 * HOUR, on_expiry=ExpiryAction.ESCALATE, escalate_to=("chiefs",))
    history = asked(wanted)
    before = history.approval(1)

    same = history.when(request(policy=wanted, working_hours=working(6, 7))).then_repeated()

    assert same.approval(1) == before
    first = before.deadline
    assert first is not None
    moved = same.after(DAY).when(act_on_deadline()).then(ApprovalEscalated)
    assert moved.approval(1).current_deadline == first + DAY


def test_a_calendar_that_is_not_known_is_refused_for_a_new_request_only() -> None:
    wanted = in_office(within=HOUR)
    refused = asked(wanted, None)
    assert refused.refusal is not None
    assert refused.refusal.code is RefusalCode.INVALID_INPUT
    assert "policy.calendar names 'office'" in refused.refusal.message

    known = asked(wanted)
    known.when(request(policy=wanted, working_hours=None)).then_repeated()
    known.when(request(policy=in_office(within=2 * HOUR), working_hours=None)).then_refused(
        RefusalCode.KEY_REUSED
    )


@pytest.mark.parametrize(
    ("wanted", "rest", "said"),
    [
        (in_office(), {}, "policy.calendar counts policy.within and policy.remindBefore"),
        (in_office(within=HOUR), {"deadline": MONDAY}, "exclude each other"),
        (in_office(within=HOUR, remind_before=(HOUR,)), {}, "not shorter"),
        (in_office(within=HOUR, remind_before=(8 * HOUR,)), {}, "not shorter"),
        (in_office(remind_before=(5 * HOUR,)), {"deadline": MONDAY}, "not shorter"),
        (in_office(remind_before=(30000 * HOUR,)), {"deadline": MONDAY}, "not shorter"),
        (in_office(within=30000 * HOUR), {}, "policy.within is too long for the calendar 'office'"),
        (
            in_office(remind_before=(HOUR,)),
            {"deadline": MONDAY + timedelta(days=4000)},
            "deadline is too late for policy.calendar",
        ),
        (in_office(remind_before=(HOUR,)), {"deadline": MONDAY - DAY}, "is in the past"),
        (policy(needs("finance"), within=HOUR, calendar=" "), {}, "policy.calendar must not"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_are_refused(wanted: Policy, rest: dict[str, Any], said: str) -> None:
    history = given().when(start())
    history.when(request(policy=wanted, working_hours=OFFICE, **rest)).then_refused(
        RefusalCode.INVALID_INPUT, said
    )


def test_a_document_names_the_calendar_only_where_there_is_one() -> None:
    assert "calendar" not in policy_json(policy(needs("finance"), within=HOUR))
    assert policy_json(in_office(within=HOUR))["calendar"] == "office"


def test_without_a_calendar_nothing_more_is_recorded() -> None:
    wanted = policy(
        needs("finance"), within=HOUR, on_expiry=ExpiryAction.ESCALATE, escalate_to=("chiefs",)
    )
    asked_for = given().when(start()).when(request(policy=wanted))
    [event] = asked_for.recorded
    assert isinstance(event, ApprovalRequested)
    assert event.after_escalation is None
