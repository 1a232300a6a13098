"""Deadlines act by themselves: they remind, expire, grant or escalate, once and never early."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.approvals.document import document_of
from domain.approvals.events import (
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalReminded,
)
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import ApprovalStatus, ResolutionCause
from domain.execution.events import (
    Resumed,
)
from domain.execution.idempotency import first_version
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import (
    act_on_deadline,
    comment,
    fail,
    grant,
    needs,
    policy,
    reject,
    request,
    retry,
    start,
    suspend,
    withdraw,
)
from tests.domain.people import approver
from tests.domain.recording import NOON
from tests.domain.scenario import Given, given

HOUR = timedelta(hours=1)
CHIEF = approver("chief", "chiefs")


def waiting(deadline: datetime | None = None, **rest: Any) -> Given:
    wanted = policy(needs("finance"), **rest)
    return given().when(start()).when(request(policy=wanted, deadline=deadline))


def test_a_deadline_rejects_what_nobody_decided() -> None:
    history = waiting(within=HOUR)
    assert history.approval(1).deadline == history.approval(1).requested_at + HOUR

    ended = history.after(HOUR).when(act_on_deadline()).then(ApprovalExpired, Resumed)

    assert ended.approval(1).status is ApprovalStatus.EXPIRED
    assert ended.approval(1).resolution is ResolutionCause.EXPIRY
    assert ended.state.state is ExecutionState.RESUMED
    assert ended.state.deadlines.get(1) is None


def test_nothing_happens_early() -> None:
    history = waiting(within=HOUR).after(HOUR - timedelta(seconds=5))

    history.when(act_on_deadline()).then_refused(RefusalCode.VERSION_CONFLICT, "nothing is due")


def test_a_deadline_may_be_a_moment() -> None:
    moment = NOON + HOUR

    history = waiting(moment)

    assert history.approval(1).deadline == moment
    history.after(HOUR).when(act_on_deadline()).then(ApprovalExpired, Resumed)


def test_a_deadline_may_grant_without_a_decision() -> None:
    history = waiting(within=HOUR, on_expiry=ExpiryAction.GRANT).after(HOUR)

    ended = history.when(act_on_deadline()).then(ApprovalExpired, Resumed)

    assert ended.approval(1).status is ApprovalStatus.GRANTED
    assert ended.approval(1).resolution is ResolutionCause.EXPIRY
    assert ended.approval(1).decisions == ()
    assert ended.log[-1].actor.id == "placet"


def test_an_escalation_moves_the_deadline_once_by_the_original_span() -> None:
    history = waiting(within=HOUR, on_expiry=ExpiryAction.ESCALATE, escalate_to=("chiefs",))
    history.when(grant(CHIEF)).then_refused(RefusalCode.NOT_FOUND)
    first, digest = history.approval(1).deadline, history.approval(1).digest
    document = document_of(history.state, history.approval(1))
    assert first is not None

    escalated = history.after(HOUR).when(act_on_deadline()).then(ApprovalEscalated)

    approval = escalated.approval(1)
    assert (approval.current_deadline, approval.deadline) == (first + HOUR, first)
    assert approval.digest == digest
    assert document_of(escalated.state, approval) == document
    escalated.after(HOUR).when(act_on_deadline()).then(ApprovalExpired, Resumed)
    assert escalated.approval(1).status is ApprovalStatus.EXPIRED


def test_those_it_was_escalated_to_meet_what_is_outstanding() -> None:
    wanted = policy(
        needs("finance"),
        needs("legal"),
        within=HOUR,
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("chiefs",),
    )
    history: Given = given().when(start()).when(request(policy=wanted)).when(grant("ann"))
    history = history.after(HOUR).when(act_on_deadline()).then(ApprovalEscalated)

    done = history.when(grant(CHIEF)).then(ApprovalGranted, Resumed)

    assert [d.rule for d in done.approval(1).decisions] == ["group:finance", "escalation:chiefs"]


def test_one_escalated_person_counts_once() -> None:
    wanted = policy(
        needs("finance", count=2),
        within=HOUR,
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("chiefs",),
    )
    history: Given = given().when(start()).when(request(policy=wanted))
    history = history.after(HOUR).when(act_on_deadline()).then(ApprovalEscalated)

    history.when(grant(CHIEF)).then(ApprovalGranted).when(grant("bob")).then(
        ApprovalGranted, Resumed
    )


def test_each_reminder_is_sent_once() -> None:
    spans = (timedelta(minutes=30), timedelta(minutes=10))
    history = waiting(within=HOUR, remind_before=spans)

    first = history.after(timedelta(minutes=31)).when(act_on_deadline()).then(ApprovalReminded)
    assert first.approval(1).reminders_sent == 1
    first.when(act_on_deadline()).then_refused(RefusalCode.VERSION_CONFLICT)
    second = first.after(timedelta(minutes=20)).when(act_on_deadline()).then(ApprovalReminded)
    assert second.approval(1).reminders_sent == 2
    second.after(timedelta(minutes=10)).when(act_on_deadline()).then(ApprovalExpired, Resumed)


def test_reminders_that_a_stopped_server_missed_come_together_or_not_at_all() -> None:
    spans = (timedelta(minutes=30), timedelta(minutes=10))
    late = waiting(within=HOUR, remind_before=spans).after(timedelta(minutes=55))
    late.when(act_on_deadline()).then(ApprovalReminded, ApprovalReminded)

    later = waiting(within=HOUR, remind_before=spans).after(HOUR)
    later.when(act_on_deadline()).then(ApprovalExpired, Resumed)


def test_an_escalation_reminds_again() -> None:
    history = waiting(
        within=HOUR,
        remind_before=(timedelta(minutes=10),),
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("chiefs",),
    )
    history = history.after(timedelta(minutes=51)).when(act_on_deadline()).then(ApprovalReminded)
    history = history.after(timedelta(minutes=10)).when(act_on_deadline()).then(ApprovalEscalated)

    history = history.after(timedelta(minutes=50)).when(act_on_deadline()).then(ApprovalReminded)
    assert history.approval(1).reminders_sent == 2


def test_reminders_and_escalations_wake_nobody() -> None:
    wanted = policy(
        within=HOUR,
        remind_before=(timedelta(minutes=10),),
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("chiefs",),
    )
    history: Given = given().when(start()).when(request(policy=wanted))
    before = (history.state.state, history.state.woken_version)

    for delay in (timedelta(minutes=51), timedelta(minutes=10)):
        history = history.after(delay)
        history.when(act_on_deadline())
    assert (history.state.state, history.state.woken_version) == before
    assert history.approval(1).escalated_at is not None


def test_a_decision_at_the_deadline_counts_while_the_expiry_is_not_recorded() -> None:
    history = waiting(within=HOUR).after(2 * HOUR)

    ended = history.when(grant("ann")).then(ApprovalGranted, Resumed)
    ended.when(act_on_deadline()).then_repeated()
    command = act_on_deadline()(ended.state)
    assert first_version(ended.state, command) == ended.approval(1).resolved_version


@pytest.mark.parametrize("end", [grant("ann"), reject("ann"), withdraw(), fail()])
def test_what_is_resolved_has_no_deadline(end: Any) -> None:
    history = waiting(within=HOUR)
    assert history.state.deadlines.get(1) is not None

    assert not history.when(end).state.deadlines


def test_a_command_for_an_earlier_deadline_does_nothing() -> None:
    history = waiting(within=HOUR, on_expiry=ExpiryAction.ESCALATE, escalate_to=("chiefs",))
    stale = act_on_deadline()(history.state)
    history = history.after(HOUR).when(lambda _state: stale).then(ApprovalEscalated)

    history.after(2 * HOUR).when(lambda _state: stale).then_refused(RefusalCode.VERSION_CONFLICT)


def test_only_the_server_acts_on_deadlines() -> None:
    waiting(within=HOUR).after(HOUR).when(act_on_deadline(by="adam")).then_refused(
        RefusalCode.FORBIDDEN
    )


def test_a_repeat_compares_the_deadline() -> None:
    history = waiting(NOON + HOUR)

    again = policy(needs("finance"))
    history.when(request(policy=again, deadline=NOON + HOUR)).then_repeated()
    history.when(request(policy=again, deadline=NOON + 2 * HOUR)).then_refused(
        RefusalCode.KEY_REUSED
    )


def test_a_repeat_may_come_after_the_deadline_but_a_new_request_may_not() -> None:
    history = waiting(NOON + HOUR).after(2 * HOUR)

    again = policy(needs("finance"))
    history.when(request(policy=again, deadline=NOON + HOUR)).then_repeated()
    history.when(request("other", policy=again, deadline=NOON + HOUR)).then_refused(
        RefusalCode.INVALID_INPUT, "past"
    )


def test_a_span_begins_anew_with_each_round() -> None:
    history = waiting(within=HOUR).after(HOUR)
    history = history.when(act_on_deadline()).when(fail()).when(retry())

    asked = history.when(request(policy=policy(needs("finance"), within=HOUR)))
    assert asked.approval(2).deadline == asked.approval(2).requested_at + HOUR


def test_a_comment_leaves_the_deadline_alone() -> None:
    history = waiting(within=HOUR)
    before = history.state.deadlines

    assert history.when(comment()).state.deadlines is before


def test_a_sleeping_execution_sleeps_on() -> None:
    wanted = policy(within=HOUR, remind_before=(timedelta(minutes=10),))
    history = given().when(start()).when(suspend(seen=0)).when(request(policy=wanted))

    asleep = history.state.asleep
    history.after(timedelta(minutes=55)).when(act_on_deadline())
    assert history.state.asleep is asleep


@pytest.mark.parametrize(
    ("wanted", "deadline", "word"),
    [
        (policy(within=HOUR), NOON + HOUR, "exclude each other"),
        (policy(on_expiry=ExpiryAction.GRANT), None, "needs a deadline"),
        (policy(on_expiry=ExpiryAction.ESCALATE, escalate_to=("x",)), None, "needs a deadline"),
        (policy(remind_before=(HOUR,)), None, "needs a deadline"),
        (policy(within=HOUR, on_expiry=ExpiryAction.ESCALATE), None, "escalateTo"),
        (policy(within=HOUR, escalate_to=("x",)), None, "ESCALATE"),
        (
            policy(within=HOUR, on_expiry=ExpiryAction.GRANT, comment_required=True),
            None,
            "commentRequired",
        ),
        (policy(within=HOUR, remind_before=(HOUR,)), None, "shorter"),
        (policy(within=timedelta(0)), None, "policy.within"),
        (policy(within=HOUR, remind_before=(timedelta(0),)), None, "remindBefore.0"),
        (policy(), NOON - HOUR, "past"),
    ],
)
def test_times_that_make_no_sense_are_named(
    wanted: Any, deadline: datetime | None, word: str
) -> None:
    given().when(start()).when(request(policy=wanted, deadline=deadline)).then_refused(
        RefusalCode.INVALID_INPUT, word
    )
