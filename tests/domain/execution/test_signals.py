"""Signals are identified by their key, and accepted while an execution waits."""

import pytest

from domain.execution.events import SignalReceived
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import Ask, complete, signal
from tests.domain.facts import requested, signalled, started, timer_fired, timer_set
from tests.domain.scenario import given


def test_a_signal_is_known_by_its_key() -> None:
    history = given(started()).when(signal(payload={"gate": 7})).then(SignalReceived)

    history.when(signal(payload={"gate": 7.0})).then_repeated()
    history.when(signal(payload={"gate": 8})).then_refused(RefusalCode.KEY_REUSED)
    history.when(signal("other", payload={"gate": 7})).then_refused(RefusalCode.KEY_REUSED)
    history.when(signal(key="delivery-2", payload={"gate": 8})).then(SignalReceived)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (signal(""), "name must not be empty"),
        (signal(key=" "), "key must not be empty"),
        (signal(payload=2**60), "payload"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(ask: Ask, words: str) -> None:
    given(started()).when(ask).then_refused(RefusalCode.INVALID_INPUT, words)


def test_a_signal_and_a_timer_may_come_while_people_are_waited_for() -> None:
    history = given(started(), timer_set(), requested(), signalled(), timer_fired())

    assert history.state.state is ExecutionState.WAITING_APPROVAL
    history.when(complete()).then_refused(RefusalCode.INVALID_TRANSITION)
