"""The transition table: which event may happen in which state, and the state that follows.

Nothing else says so. ``evolve`` and ``decide`` use the table, the diagram in the documentation is
drawn from it, and tests go through all of it.
"""

from itertools import groupby

from domain.approvals.events import (
    ApprovalAmended,
    ApprovalChangesRequested,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalUnclaimed,
    ApprovalWithdrawn,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    CancellationRequested,
    Cancelled,
    ChildEnded,
    ChildStarted,
    Claimed,
    CleanUpDeclared,
    Completed,
    Failed,
    Parked,
    Resumed,
    Retried,
    SignalReceived,
    Started,
    StepCompleted,
    StepFailed,
    Suspended,
    TimerCancelled,
    TimerFired,
    TimerSet,
    Unparked,
)
from domain.execution.state import Execution
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.values import ExecutionState

RUNNING = ExecutionState.RUNNING
WAITING = ExecutionState.WAITING_APPROVAL
RESUMED = ExecutionState.RESUMED
COMPLETED = ExecutionState.COMPLETED
FAILED = ExecutionState.FAILED
CANCELLED = ExecutionState.CANCELLED

_Moves = dict[ExecutionState | None, ExecutionState]

# A worker's events: the first of them after Resumed makes the execution RUNNING again.
_PROGRESS: _Moves = {RUNNING: RUNNING, RESUMED: RUNNING, WAITING: WAITING}
# Events that leave the state as it is, as long as the execution is not over.
_OPEN: _Moves = {RUNNING: RUNNING, RESUMED: RESUMED, WAITING: WAITING}
_WHILE_PENDING: _Moves = {WAITING: WAITING}
_ALWAYS: _Moves = {state: state for state in ExecutionState}

_MOVES: dict[type[Event], _Moves] = {
    Started: {None: RUNNING},
    Claimed: {**_OPEN},
    CleanUpDeclared: {**_OPEN},
    StepCompleted: {**_PROGRESS},
    StepFailed: {**_PROGRESS},
    ApprovalRequested: {RUNNING: WAITING, RESUMED: WAITING, WAITING: WAITING},
    ApprovalAmended: {**_WHILE_PENDING},
    ApprovalGranted: {**_WHILE_PENDING},
    ApprovalRejected: {**_WHILE_PENDING},
    ApprovalExpired: {**_WHILE_PENDING},
    ApprovalChangesRequested: {**_WHILE_PENDING},
    DecisionRetracted: {**_WHILE_PENDING},
    ApprovalClaimed: {**_WHILE_PENDING},
    ApprovalUnclaimed: {**_WHILE_PENDING},
    ApprovalRevoked: {**_OPEN, FAILED: FAILED},
    ApprovalCommented: {**_ALWAYS},
    ApprovalWithdrawn: {**_WHILE_PENDING},
    ApprovalDelegated: {**_WHILE_PENDING},
    DelegationTakenBack: {**_WHILE_PENDING},
    ApprovalEscalated: {**_WHILE_PENDING},
    ApprovalReminded: {**_WHILE_PENDING},
    Resumed: {WAITING: RESUMED},
    ApprovalRedeemed: {**_PROGRESS},
    TimerSet: {**_PROGRESS},
    TimerFired: {**_OPEN},
    TimerCancelled: {**_PROGRESS},
    SignalReceived: {**_OPEN},
    ChildStarted: {**_PROGRESS},
    ChildEnded: {**_OPEN},
    Suspended: {RUNNING: RUNNING, RESUMED: RUNNING},
    Parked: {**_OPEN},
    Unparked: {**_OPEN},
    Completed: {RUNNING: COMPLETED, RESUMED: COMPLETED},
    Failed: {RUNNING: FAILED, RESUMED: FAILED, WAITING: FAILED},
    CancellationRequested: {**_OPEN},
    Cancelled: {RUNNING: CANCELLED, RESUMED: CANCELLED, WAITING: CANCELLED},
    Retried: {FAILED: RUNNING},
}

TRANSITIONS: dict[tuple[ExecutionState | None, type[Event]], ExecutionState] = {
    (source, event): target for event, moves in _MOVES.items() for source, target in moves.items()
}


def allowed(state: ExecutionState | None, event: type[Event]) -> bool:
    """Whether an event of this type may happen in the state (None: not started)."""
    return (state, event) in TRANSITIONS


def target(state: ExecutionState | None, event: type[Event]) -> ExecutionState:
    """Return the state after the event. Raises IllegalTransitionError if it may not happen."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        where = "before the start" if state is None else f"in state {state}"
        msg = f"{event.__name__} can't happen {where}"
        raise IllegalTransitionError(msg) from None


def check_transition(state: Execution, event: type[Event]) -> None:
    """Raise Refusal if an event of this type may not happen now."""
    if not allowed(state.state, event):
        message = f"{event.__name__} is not possible: execution {state.id} is {state.state}"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, with one arrow for each pair of states."""
    arrows = sorted(
        (str(source or "[*]"), str(to), event.__name__)
        for (source, event), to in TRANSITIONS.items()
    )
    lines = ["stateDiagram-v2"]
    for (source, to), group in groupby(arrows, key=lambda arrow: arrow[:2]):
        lines.append(f"    {source} --> {to}: {', '.join(name for _, _, name in group)}")
    lines += [f"    {state} --> [*]" for state in ExecutionState if state.final]
    return "\n".join(lines) + "\n"
