"""One short history for each state, with an approval in it wherever the state allows one."""

from domain.values import ExecutionState
from tests.domain.facts import (
    Fact,
    cancelled,
    completed,
    failed,
    granted,
    requested,
    resumed,
    started,
    step_completed,
)

RUNNING = (started(), requested(), granted(), resumed(), step_completed("resume"))

HISTORIES: dict[ExecutionState | None, tuple[Fact, ...]] = {
    None: (),
    ExecutionState.RUNNING: RUNNING,
    ExecutionState.WAITING_APPROVAL: (started(), requested()),
    ExecutionState.RESUMED: (started(), requested(), granted(), resumed()),
    ExecutionState.COMPLETED: (*RUNNING, completed()),
    ExecutionState.FAILED: (*RUNNING, failed()),
    ExecutionState.CANCELLED: (*RUNNING, cancelled()),
}
