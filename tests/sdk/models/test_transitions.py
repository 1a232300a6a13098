"""What a client concludes from an event's name alone."""

import pytest

from placet import ExecutionState
from placet.models import rules, transitions


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (None, "Started", ExecutionState.RUNNING),
        (ExecutionState.RUNNING, "ApprovalRequested", ExecutionState.WAITING_APPROVAL),
        (ExecutionState.WAITING_APPROVAL, "Completed", None),
        (ExecutionState.FAILED, "Retried", ExecutionState.RUNNING),
    ],
)
def test_an_event_moves_a_state_or_is_unknown_in_it(
    state: ExecutionState | None, event: str, after: ExecutionState | None
) -> None:
    assert transitions.target(state, event) is after


def test_what_ends_and_what_resolves_is_told_by_the_name() -> None:
    names = rules.TRANSITIONS
    assert {name for name in names if transitions.may_end(name)} == {
        "Completed",
        "Failed",
        "Cancelled",
    }
    assert {name for name in names if transitions.may_resolve(name)} == {
        "ApprovalGranted",
        "ApprovalRejected",
        "ApprovalChangesRequested",
        "ApprovalRevoked",
        "ApprovalExpired",
        "ApprovalWithdrawn",
    }


def test_an_event_of_a_newer_service_may_do_anything() -> None:
    assert transitions.target(ExecutionState.RUNNING, "Paused") is None
    assert transitions.may_end("Paused")
    assert transitions.may_resolve("Paused")
