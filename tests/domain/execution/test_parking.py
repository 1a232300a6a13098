"""Suspending an execution until something happens, and parking it until a person releases it."""

import pytest

from domain.execution.events import (
    Claimed,
    Parked,
    SignalReceived,
    StepCompleted,
    StepFailed,
    Suspended,
    TimerFired,
    Unparked,
)
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import (
    Ask,
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
    child_started,
    claimed,
    failed,
    granted,
    parked,
    redeemed,
    requested,
    resumed,
    started,
    suspended,
    timer_fired,
    timer_set,
    unparked,
)
from tests.domain.scenario import given


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


@pytest.mark.parametrize("who", ["olivia", "adam"])
def test_a_person_pauses_what_a_worker_holds_and_lets_it_go_on(who: str) -> None:
    history = given(started(), claimed()).when(park(who, fence=None, reason="wait")).then(Parked)

    assert history.state.parked == "wait"
    history.when(step()).then_refused(RefusalCode.INVALID_TRANSITION, "wait")
    history.when(unpark(who)).then(Unparked)
    history.when(step()).then(StepCompleted)


@pytest.mark.parametrize("who", ["olivia", "adam"])
def test_the_reason_of_a_worker_is_not_replaced_by_that_of_a_person(who: str) -> None:
    history = given(started(), claimed(), parked())

    history.when(park(who, fence=None, reason="wait")).then_repeated()
    assert history.state.parked != "wait"


def test_a_worker_without_its_fence_parks_nothing() -> None:
    given(started(), claimed()).when(park(fence=None)).then_refused(RefusalCode.FENCED)


def test_what_was_approved_and_is_under_way_still_records_its_outcome() -> None:
    under_way = (started(), claimed(), requested(), granted(), resumed(), redeemed(), parked())

    given(*under_way).when(step("booking")).then(StepCompleted)
    failed_once = given(*under_way).when(step("booking", error="no seat")).then(StepFailed)
    assert failed_once.state.parked is not None
    given(*under_way).when(step("other")).then_refused(RefusalCode.INVALID_TRANSITION)


def test_parking_and_unparking_are_told_apart() -> None:
    history = given(started(), parked(), unparked(), parked())

    assert (history.state.parked_version, history.state.unparked_version) == (4, 3)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (park(reason=" "), "reason must not be empty"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(ask: Ask, words: str) -> None:
    given(started()).when(ask).then_refused(RefusalCode.INVALID_INPUT, words)
