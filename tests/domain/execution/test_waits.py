"""What an execution waits for beside people: timers, signals, children. And being parked."""

from datetime import timedelta

import pytest

from domain.authorization import SERVICE
from domain.execution.children import child_id
from domain.execution.events import (
    ChildEnded,
    ChildStarted,
    Claimed,
    Parked,
    SignalReceived,
    StepCompleted,
    Suspended,
    TimerCancelled,
    TimerFired,
    TimerSet,
    Unparked,
)
from domain.refusals import RefusalCode
from domain.values import ExecutionState, Principal, Role
from tests.domain.ask import (
    EXECUTION,
    HOUR,
    Ask,
    Asker,
    cancel,
    cancel_timer,
    claim,
    complete,
    end_child,
    fail,
    fire_timer,
    grant,
    park,
    request,
    retry,
    set_timer,
    signal,
    start_child,
    step,
    suspend,
    unpark,
)
from tests.domain.facts import (
    Fact,
    child_ended,
    child_started,
    claimed,
    failed,
    parked,
    requested,
    retried,
    signalled,
    started,
    suspended,
    timer_fired,
    timer_set,
    unparked,
)
from tests.domain.people import principal
from tests.domain.recording import NOON
from tests.domain.scenario import given


def test_a_timer_fires_its_delay_after_it_was_recorded() -> None:
    history = given(started()).when(set_timer(delay=HOUR)).then(TimerSet)

    assert history.state.wakes_at == history.log[-1].at + HOUR


def test_a_retry_sets_a_timer_anew_that_was_cancelled_before() -> None:
    history = given(started()).when(set_timer(delay=HOUR)).when(cancel_timer())
    history = history.when(set_timer(delay=HOUR)).then().when(fail()).when(retry())

    again = history.when(set_timer(delay=2 * HOUR)).then(TimerSet)

    assert again.state.wakes_at == again.log[-1].at + 2 * HOUR


def test_a_timer_fires_at_its_moment() -> None:
    until = NOON + timedelta(days=90)
    history = given(started()).when(set_timer(delay=None, until=until)).then(TimerSet)

    assert history.state.wakes_at == until


def test_the_next_timer_counts() -> None:
    history = given(started(), timer_set("a", delay=2 * HOUR), timer_set("b"), timer_fired("b"))

    assert history.state.wakes_at == history.state.timers["a"].fires_at
    assert given(started(), timer_set(), failed()).state.wakes_at is None


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (set_timer(delay=None), "exactly one"),
        (set_timer(until=NOON), "exactly one"),
        (set_timer(delay=timedelta(microseconds=-1)), "delay must be from 0"),
        (set_timer(delay=timedelta(days=36_501)), "delay must be from 0"),
        (set_timer(""), "key must not be empty"),
        (signal(""), "name must not be empty"),
        (signal(key=" "), "key must not be empty"),
        (signal(payload=2**60), "payload"),
        (start_child(workflow=""), "workflow must not be empty"),
        (park(reason=" "), "reason must not be empty"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(ask: Ask, words: str) -> None:
    given(started()).when(ask).then_refused(RefusalCode.INVALID_INPUT, words)


def test_a_timer_is_known_by_its_key() -> None:
    history = given(started(), timer_set())

    history.when(set_timer()).then_repeated()
    history.when(set_timer(delay=2 * HOUR)).then_refused(RefusalCode.KEY_REUSED)


def test_a_timer_is_done_once() -> None:
    fired = given(started(), timer_set()).when(fire_timer()).then(TimerFired)
    fired.when(fire_timer()).then_repeated()
    fired.when(cancel_timer()).then_repeated()

    cancelled = given(started(), timer_set()).when(cancel_timer()).then(TimerCancelled)
    cancelled.when(fire_timer()).then_repeated()
    assert cancelled.state.wakes_at is None


def test_a_timer_that_was_never_set_is_not_found() -> None:
    for ask in (fire_timer("x"), cancel_timer("x")):
        given(started()).when(ask).then_refused(RefusalCode.NOT_FOUND, "'x'")


@pytest.mark.parametrize("ask", [fire_timer, end_child])
@pytest.mark.parametrize(
    "by", [*(principal("somebody", role) for role in Role), principal("placet", *Role)]
)
def test_only_the_service_itself_lets_timers_fire_and_children_end(
    ask: Asker, by: Principal
) -> None:
    history = given(started(), timer_set(), child_started())

    history.when(ask(by=by)).then_refused(RefusalCode.FORBIDDEN)
    history.when(ask(by=SERVICE))
    assert history.state.woken_version == history.state.version == 4


def test_a_signal_is_known_by_its_key() -> None:
    history = given(started()).when(signal(payload={"gate": 7})).then(SignalReceived)

    history.when(signal(payload={"gate": 7.0})).then_repeated()
    history.when(signal(payload={"gate": 8})).then_refused(RefusalCode.KEY_REUSED)
    history.when(signal("other", payload={"gate": 7})).then_refused(RefusalCode.KEY_REUSED)
    history.when(signal(key="delivery-2", payload={"gate": 8})).then(SignalReceived)


def test_a_child_has_an_id_that_follows_from_its_parent() -> None:
    [event] = given(started()).when(start_child(input=1)).recorded

    assert isinstance(event, ChildStarted)
    assert event.child_id == child_id(EXECUTION, "hotel", 1)
    assert event.child_id != child_id(EXECUTION, "hotel", 2) != child_id(EXECUTION, "bus", 2)


def test_a_child_is_known_by_its_key() -> None:
    history = given(started()).when(start_child(input=1)).then(ChildStarted)

    history.when(start_child(input=1)).then_repeated()
    for other in (start_child(input=2), start_child(workflow="x", input=1)):
        history.when(other).then_refused(RefusalCode.KEY_REUSED)


def test_a_child_ends_once() -> None:
    history = given(started(), child_started()).when(end_child(result=5)).then(ChildEnded)

    assert history.state.children["hotel"].outcome is ExecutionState.COMPLETED
    history.when(end_child(outcome=ExecutionState.FAILED)).then_repeated()
    history.when(end_child(round=2)).then_refused(RefusalCode.NOT_FOUND)


def test_a_child_that_did_not_complete_is_started_anew_after_a_retry() -> None:
    ended = child_ended(outcome=ExecutionState.FAILED)
    history = given(started(), child_started(), ended, failed(), retried())

    [event] = history.when(start_child()).recorded
    assert isinstance(event, ChildStarted)
    assert event.round == 2
    # What the child of the first round comes to is of no interest any more.
    history.when(end_child(round=1)).then_repeated()


def test_a_child_that_completed_keeps_its_result_over_a_retry() -> None:
    given(started(), child_started(), child_ended(), failed(), retried()).when(
        start_child()
    ).then_repeated()


def test_an_engine_starts_children_only_in_its_queues() -> None:
    bound = principal("engine", Role.ENGINE, queues=("default",))

    given(started()).when(start_child(by=bound)).then(ChildStarted)
    given(started()).when(start_child(by=bound, queue="x")).then_refused(RefusalCode.FORBIDDEN)


@pytest.mark.parametrize(
    ("before", "wakes"),
    [
        (timer_set(), fire_timer()),
        (child_started(), end_child()),
        (timer_set(), signal()),
    ],
)
def test_what_is_waited_for_wakes_whoever_is_asleep(before: Fact, wakes: Ask) -> None:
    history = given(started(), before).when(suspend()).then(Suspended)
    asleep = history.state
    assert (asleep.asleep, asleep.workable) == (True, False)

    history.when(wakes)

    awake = history.state
    assert (awake.asleep, awake.workable) == (False, True)
    assert awake.woken_version == awake.version


def test_work_ends_sleep_and_a_claim_does_not() -> None:
    asleep = given(started(), suspended())

    assert asleep.when(claim()).then(Claimed).state.asleep
    assert not asleep.when(step()).then(StepCompleted).state.asleep


def test_who_has_not_seen_what_came_does_not_fall_asleep() -> None:
    history = given(started(), timer_set(), timer_fired())

    history.when(suspend(seen=0)).then_refused(RefusalCode.VERSION_CONFLICT)
    history.when(suspend(seen=3)).then(Suspended)
    history.when(suspend(seen=3)).then_repeated()


def test_no_worker_goes_on_with_what_is_parked() -> None:
    history = given(started(), claimed()).when(park(reason="another step came")).then(Parked)

    assert history.state.parked == "another step came"
    assert not history.state.workable
    for ask in (step(), request(), set_timer(), complete(), fail(), claim(), suspend()):
        history.when(ask).then_refused(RefusalCode.INVALID_TRANSITION, "another step came")
    history.when(park(reason="a second reason")).then_repeated()
    assert history.state.parked == "another step came"


def test_people_and_time_go_on_while_it_is_parked() -> None:
    history = given(started(), timer_set(), requested(), parked())

    history.when(grant())
    history.when(fire_timer()).then(TimerFired)
    history.when(signal()).then(SignalReceived)
    assert history.state.state is ExecutionState.RESUMED
    assert not history.state.workable


def test_being_unparked_gives_workers_something_to_do() -> None:
    history = given(started(), requested(), parked()).when(unpark()).then(Unparked)

    assert history.state.parked is None
    assert history.state.woken_version == history.state.version
    history.when(unpark()).then_repeated()
    history.when(park()).then(Parked)


def test_what_was_never_parked_is_not_unparked() -> None:
    given(started()).when(unpark()).then_refused(RefusalCode.INVALID_TRANSITION, "is not parked")


def test_an_end_ends_being_parked() -> None:
    history = given(started(), parked())
    history.when(cancel())

    assert history.state.parked is None


def test_a_retry_begins_awake() -> None:
    history = given(started(), suspended(), failed()).when(retry())

    assert history.state.workable


def test_a_fence_guards_what_a_worker_says_of_waiting() -> None:
    history = given(started(), timer_set("due"), claimed(), claimed())

    for ask in (
        set_timer(fence=1),
        cancel_timer("due", fence=1),
        start_child(fence=1),
        suspend(fence=1),
        park(fence=1),
    ):
        history.when(ask).then_refused(RefusalCode.FENCED)


def test_a_signal_and_a_timer_may_come_while_people_are_waited_for() -> None:
    history = given(started(), timer_set(), requested(), signalled(), timer_fired())

    assert history.state.state is ExecutionState.WAITING_APPROVAL
    history.when(complete()).then_refused(RefusalCode.INVALID_TRANSITION)


def test_parking_and_unparking_are_told_apart() -> None:
    history = given(started(), parked(), unparked(), parked())

    assert (history.state.parked_version, history.state.unparked_version) == (4, 3)
