"""One short history for each state, with an approval in it wherever the state allows one."""

from domain.values import ExecutionState
from tests.domain.ask import policy
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

_ASKED = requested(policy=policy(amendable=True))
RUNNING = (started(), _ASKED, granted(), resumed(), step_completed("resume"))

HISTORIES: dict[ExecutionState | None, tuple[Fact, ...]] = {
    None: (),
    ExecutionState.RUNNING: RUNNING,
    ExecutionState.WAITING_APPROVAL: (started(), _ASKED),
    ExecutionState.RESUMED: (started(), _ASKED, granted(), resumed()),
    ExecutionState.COMPLETED: (*RUNNING, completed()),
    ExecutionState.FAILED: (*RUNNING, failed()),
    ExecutionState.CANCELLED: (*RUNNING, cancelled()),
}
