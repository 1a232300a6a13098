"""The sdk's transition table is the service's."""

import pytest

from domain.execution.events import EVENT_TYPES
from domain.execution.transitions import TRANSITIONS
from domain.values import ExecutionState as Served
from placet import ExecutionState
from placet.models import transitions


def test_every_state_is_known_by_its_name() -> None:
    assert [(state.value, state.final) for state in ExecutionState] == [
        (state.value, state.final) for state in Served
    ]


def test_every_move_is_the_same() -> None:
    served = {
        (None if source is None else source.value, event.__name__): target.value
        for (source, event), target in TRANSITIONS.items()
    }
    known = {
        (None if source is None else source.value, event): target.value
        for event, moves in transitions.TRANSITIONS.items()
        for source, target in moves.items()
    }
    assert known == served


@pytest.mark.parametrize("event", [event.__name__ for event in EVENT_TYPES])
def test_every_event_is_known_and_moves_where_the_service_says(event: str) -> None:
    [event_type] = [each for each in EVENT_TYPES if each.__name__ == event]
    for source in (None, *ExecutionState):
        served = TRANSITIONS.get((None if source is None else Served(source.value), event_type))
        moved = transitions.target(source, event)
        assert (moved and moved.value) == (served and served.value)


def test_what_ends_and_what_resolves_follows_from_the_events() -> None:
    names = {event.__name__ for event in EVENT_TYPES}
    assert {name for name in names if transitions.may_end(name)} == {
        event.__name__ for (_, event), target in TRANSITIONS.items() if target.final
    }
    assert {name for name in names if transitions.may_resolve(name)} == {
        "ApprovalGranted",
        "ApprovalRejected",
        "ApprovalExpired",
        "ApprovalWithdrawn",
    }


def test_an_event_of_a_newer_service_may_do_anything() -> None:
    assert transitions.target(ExecutionState.RUNNING, "Paused") is None
    assert transitions.may_end("Paused")
    assert transitions.may_resolve("Paused")
