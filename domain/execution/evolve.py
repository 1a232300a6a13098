"""Apply recorded events to the state of an execution, one at a time.

The transition table says which event may follow. No event is ever ignored: one that does not fit
raises IllegalTransitionError. The module of each subject returns the fields that an event changes.
"""

from collections.abc import Iterable
from functools import reduce

from msgspec.structs import replace

from domain.approvals import evolve as approvals
from domain.execution import children, lifecycle, parking, signals, steps, timers
from domain.execution.events import (
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    Cancelled,
    ChildEnded,
    ChildStarted,
    Claimed,
    Completed,
    Failed,
    Parked,
    Recorded,
    Resumed,
    Retried,
    SignalReceived,
    StepCompleted,
    StepFailed,
    Suspended,
    TimerCancelled,
    TimerFired,
    TimerSet,
    Unparked,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import target
from domain.refusals import IllegalTransitionError

# Every event but these wakes a sleeping execution.
_LETS_SLEEP = (Claimed, Parked)


def fold(state: Execution | None, events: Iterable[Recorded]) -> Execution | None:
    """Apply events that follow one another without a gap."""
    return reduce(evolve, events, state)


def evolve(state: Execution | None, recorded: Recorded) -> Execution:
    """Return the state after the event.

    Raises IllegalTransitionError if the transition table does not allow the event, if its version
    is not the next one of this execution, or if it does not fit the step, approval, timer, signal
    or child that it is about.
    """
    event = recorded.event
    moved_to = target(None if state is None else state.state, type(event))
    if state is None:
        return lifecycle.started(recorded)
    if (recorded.execution_id, recorded.version) != (state.id, state.version + 1):
        msg = (
            f"version {recorded.version} of {recorded.execution_id} "
            f"can't follow version {state.version} of {state.id}"
        )
        raise IllegalTransitionError(msg)
    changes = _changes(state, recorded)
    if state.asleep_version and not isinstance(event, _LETS_SLEEP):
        changes.setdefault("asleep_version", 0)
    return replace(
        state, version=recorded.version, state=moved_to, updated_at=recorded.at, **changes
    )


def _changes(state: Execution, recorded: Recorded) -> Changes:
    event = recorded.event
    match event:
        case Claimed():
            return lifecycle.claimed(event)
        case Completed():
            return lifecycle.completed(recorded, event)
        case Failed():
            return lifecycle.failed(recorded, event)
        case Cancelled():
            return lifecycle.cancelled(recorded, event)
        case Retried():
            return lifecycle.retried(state)
        case StepCompleted() | StepFailed():
            return steps.step_recorded(state, recorded, event)
        case ApprovalRequested():
            return approvals.requested(state, recorded, event)
        case ApprovalGranted() | ApprovalRejected():
            return approvals.decided(state, recorded, event)
        case Resumed():
            return approvals.resumed(state)
        case ApprovalRedeemed():
            return approvals.redeemed(state, recorded, event)
        case ApprovalWithdrawn():
            return approvals.withdrawn(state, recorded, event)
        case ApprovalExpired():
            return approvals.expired(state, recorded, event)
        case ApprovalDelegated():
            return approvals.delegated(state, recorded, event)
        case ApprovalEscalated():
            return approvals.escalated(state, event)
        case TimerSet():
            return timers.timer_set(state, recorded, event)
        case TimerFired():
            return timers.timer_fired(state, recorded, event)
        case TimerCancelled():
            return timers.timer_cancelled(state, recorded, event)
        case SignalReceived():
            return signals.signal_received(state, recorded, event)
        case ChildStarted():
            return children.child_started(state, recorded, event)
        case ChildEnded():
            return children.child_ended(state, recorded, event)
        case Suspended():
            return parking.suspended(recorded)
        case Parked():
            return parking.parked(state, recorded, event)
        case Unparked():
            return parking.unparked(state, recorded)
        case _:
            msg = f"no fold for {type(event).__name__}"
            raise IllegalTransitionError(msg)
