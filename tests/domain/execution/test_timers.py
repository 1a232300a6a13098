"""Timers: set, fired once, cancelled."""

from datetime import timedelta

import pytest

from domain.authorization import SERVICE
from domain.execution.events import TimerCancelled, TimerFired, TimerSet
from domain.refusals import RefusalCode
from domain.values import Principal, Role
from tests.domain.ask import HOUR, Ask, cancel_timer, fail, fire_timer, retry, set_timer
from tests.domain.facts import failed, started, timer_fired, timer_set
from tests.domain.people import principal
from tests.domain.recording import NOON
from tests.domain.scenario import given


def test_a_timer_fires_its_delay_after_it_was_recorded() -> None:
    history = given(started()).when(set_timer(delay=HOUR)).then(TimerSet)

    assert history.state.wakes_at == history.log[-1].at + HOUR


def test_a_timer_fires_at_its_moment() -> None:
    until = NOON + timedelta(days=90)
    history = given(started()).when(set_timer(delay=None, until=until)).then(TimerSet)

    assert history.state.wakes_at == until


def test_the_next_timer_counts() -> None:
    history = given(started(), timer_set("a", delay=2 * HOUR), timer_set("b"), timer_fired("b"))

    assert history.state.wakes_at == history.state.timers["a"].fires_at
    assert given(started(), timer_set(), failed()).state.wakes_at is None


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


def test_a_retry_sets_a_timer_anew_that_was_cancelled_before() -> None:
    history = given(started()).when(set_timer(delay=HOUR)).when(cancel_timer())
    history = history.when(set_timer(delay=HOUR)).then().when(fail()).when(retry())

    again = history.when(set_timer(delay=2 * HOUR)).then(TimerSet)

    assert again.state.wakes_at == again.log[-1].at + 2 * HOUR


def test_a_timer_that_was_set_again_is_not_fired_for_its_earlier_setting() -> None:
    history = given(started(), timer_set()).when(cancel_timer()).when(fail()).when(retry())
    again = history.when(set_timer(delay=2 * HOUR)).then(TimerSet)

    again.when(fire_timer(set_version=2)).then_refused(RefusalCode.VERSION_CONFLICT, "version 6")
    again.when(fire_timer(set_version=6)).then(TimerFired)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (set_timer(delay=None), "exactly one"),
        (set_timer(until=NOON), "exactly one"),
        (set_timer(delay=timedelta(microseconds=-1)), "delay must be from 0"),
        (set_timer(delay=timedelta(days=36_501)), "delay must be from 0"),
        (set_timer(""), "key must not be empty"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(ask: Ask, words: str) -> None:
    given(started()).when(ask).then_refused(RefusalCode.INVALID_INPUT, words)


@pytest.mark.parametrize(
    "by", [*(principal("somebody", role) for role in Role), principal("placet", *Role)]
)
def test_only_the_service_itself_lets_timers_fire(by: Principal) -> None:
    history = given(started(), timer_set())

    history.when(fire_timer(by=by)).then_refused(RefusalCode.FORBIDDEN)
    history.when(fire_timer(by=SERVICE))
    assert history.state.woken_version == history.state.version == 3
