"""The transition table, and the diagram that is drawn from it."""

import pytest

from domain.approvals.events import (
    ApprovalCommented,
    ApprovalRevoked,
)
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    EVENT_TYPES,
    Completed,
    Retried,
    Started,
)
from domain.execution.transitions import TRANSITIONS, allowed, mermaid, target
from domain.refusals import IllegalTransitionError
from domain.values import ExecutionState
from tests.domain.state_diagram import PAGE, page


def test_the_page_in_the_documentation_is_up_to_date() -> None:
    """Run ``python -m tests.domain.state_diagram`` after a change of the table."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_move_is_drawn_once() -> None:
    arrows = [
        (source, to, event)
        for line in mermaid().splitlines()
        if ": " in line
        for source, _, rest in [line.strip().partition(" --> ")]
        for to, _, events in [rest.partition(": ")]
        for event in events.split(", ")
    ]

    assert len(arrows) == len(set(arrows)) == len(TRANSITIONS)
    assert set(arrows) == {
        (state or "[*]", to.value, event.__name__) for (state, event), to in TRANSITIONS.items()
    }


def test_every_event_of_the_catalogue_is_in_the_table() -> None:
    assert {event for _, event in TRANSITIONS} == set(EVENT_TYPES)


def test_every_state_can_be_reached() -> None:
    reached: set[ExecutionState | None] = {None}
    while more := {to for (state, _), to in TRANSITIONS.items() if state in reached} - reached:
        reached |= more

    assert reached == {None, *ExecutionState}


@pytest.mark.parametrize("state", [state for state in ExecutionState if state.final])
def test_after_an_end_come_only_comments_and_what_a_failure_allows(state: ExecutionState) -> None:
    following = {event for event in EVENT_TYPES if allowed(state, event)}

    after_a_failure = {Retried, ApprovalRevoked} if state is ExecutionState.FAILED else set()
    assert following == {ApprovalCommented} | after_a_failure


def test_only_started_comes_before_everything() -> None:
    assert [event for event in EVENT_TYPES if allowed(None, event)] == [Started]
    assert not any(allowed(state, Started) for state in ExecutionState)


def test_a_move_that_is_not_in_the_table_is_named() -> None:
    with pytest.raises(IllegalTransitionError, match=r"^Completed can't happen before the start$"):
        target(None, Completed)
    with pytest.raises(
        IllegalTransitionError, match=r"^Completed can't happen in state WAITING_APPROVAL$"
    ):
        target(ExecutionState.WAITING_APPROVAL, Completed)
    with pytest.raises(IllegalTransitionError):
        target(ExecutionState.RUNNING, Event)
