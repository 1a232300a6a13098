"""The service's transition table, by the names of events: how a state is kept without asking.

Folding an execution's events through it, in order of version, gives the states that the service
gives. What is not in it is an event of a newer service: then the execution has to be read.
"""

from placet.models.enums import ExecutionState

RUNNING = ExecutionState.RUNNING
WAITING = ExecutionState.WAITING_APPROVAL
RESUMED = ExecutionState.RESUMED
COMPLETED = ExecutionState.COMPLETED
FAILED = ExecutionState.FAILED
CANCELLED = ExecutionState.CANCELLED

_Moves = dict[ExecutionState | None, ExecutionState]

_PROGRESS: _Moves = {RUNNING: RUNNING, RESUMED: RUNNING, WAITING: WAITING}
_OPEN: _Moves = {RUNNING: RUNNING, RESUMED: RESUMED, WAITING: WAITING}
_WHILE_PENDING: _Moves = {WAITING: WAITING}

TRANSITIONS: dict[str, _Moves] = {
    "Started": {None: RUNNING},
    "Claimed": _OPEN,
    "StepCompleted": _PROGRESS,
    "StepFailed": _PROGRESS,
    "ApprovalRequested": {RUNNING: WAITING, RESUMED: WAITING, WAITING: WAITING},
    "ApprovalGranted": _WHILE_PENDING,
    "ApprovalRejected": _WHILE_PENDING,
    "ApprovalExpired": _WHILE_PENDING,
    "ApprovalWithdrawn": _WHILE_PENDING,
    "ApprovalDelegated": _WHILE_PENDING,
    "ApprovalEscalated": _WHILE_PENDING,
    "Resumed": {WAITING: RESUMED},
    "ApprovalRedeemed": _PROGRESS,
    "TimerSet": _PROGRESS,
    "TimerFired": _OPEN,
    "TimerCancelled": _PROGRESS,
    "SignalReceived": _OPEN,
    "ChildStarted": _PROGRESS,
    "ChildEnded": _OPEN,
    "Suspended": {RUNNING: RUNNING, RESUMED: RUNNING},
    "Parked": _OPEN,
    "Unparked": _OPEN,
    "Completed": {RUNNING: COMPLETED, RESUMED: COMPLETED},
    "Failed": {RUNNING: FAILED, RESUMED: FAILED, WAITING: FAILED},
    "Cancelled": {RUNNING: CANCELLED, RESUMED: CANCELLED, WAITING: CANCELLED},
    "Retried": {FAILED: RUNNING},
}
"""For each event: from a state (None: not started) to the state after it."""

FINAL = frozenset(state for state in ExecutionState if state.final)

_RESOLUTIONS = frozenset(
    {"ApprovalGranted", "ApprovalRejected", "ApprovalExpired", "ApprovalWithdrawn"}
)
_ENDS = frozenset(
    name for name, moves in TRANSITIONS.items() if not FINAL.isdisjoint(moves.values())
)


def target(state: ExecutionState | None, event: str) -> ExecutionState | None:
    """Return the state after an event, None if the table does not have it."""
    return TRANSITIONS.get(event, {}).get(state)


def may_end(event: str) -> bool:
    """Whether an execution may be final after an event of this type."""
    return event in _ENDS or event not in TRANSITIONS


def may_resolve(event: str) -> bool:
    """Whether an event of this type may have resolved an approval."""
    return event in _RESOLUTIONS or event not in TRANSITIONS
