"""Apply recorded events to the state of an execution, one at a time.

The transition table says which event may follow. No event is ever ignored: one that does not fit
raises IllegalTransitionError. The module of each subject returns the fields that an event changes.
"""

from collections.abc import Iterable
from functools import reduce

from msgspec.structs import replace

from domain.approvals import claim, comments, deadlines, delegation, retraction, revocation
from domain.approvals import evolve as approvals
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
from domain.execution import cancellation, children, lifecycle, parking, signals, steps, timers
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
_LETS_SLEEP = (
    Claimed,
    CleanUpDeclared,
    Parked,
    ApprovalClaimed,
    ApprovalUnclaimed,
    ApprovalCommented,
    ApprovalDelegated,
    DelegationTakenBack,
    ApprovalEscalated,
    ApprovalReminded,
)


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
    # Python tries the cases in this order, so the events that are recorded most come first.
    match event:
        case StepCompleted() | StepFailed():
            return steps.step_recorded(state, recorded, event)
        case ApprovalRequested():
            return approvals.requested(state, recorded, event)
        case ApprovalGranted() | ApprovalRejected() | ApprovalChangesRequested():
            return approvals.decided(state, recorded, event)
        case Resumed():
            return approvals.resumed(state)
        case ApprovalRedeemed():
            return approvals.redeemed(state, recorded, event)
        case Claimed():
            return lifecycle.claimed(recorded, event)
        case Completed():
            return lifecycle.completed(recorded, event)
        case Failed():
            return lifecycle.failed(recorded, event)
        case CleanUpDeclared():
            return cancellation.clean_up_declared(state)
        case CancellationRequested():
            return cancellation.cancellation_requested(state, recorded, event)
        case Cancelled():
            return lifecycle.cancelled(recorded, event)
        case Retried():
            return lifecycle.retried(state)
        case ApprovalWithdrawn():
            return approvals.withdrawn(state, recorded, event)
        case ApprovalAmended():
            return approvals.amended(state, recorded, event)
        case DecisionRetracted():
            return retraction.retracted(state, recorded, event)
        case ApprovalRevoked():
            return revocation.revoked(state, recorded, event)
        case ApprovalCommented():
            return comments.commented(state, recorded, event)
        case ApprovalClaimed():
            return claim.claimed(state, recorded, event)
        case ApprovalUnclaimed():
            return claim.unclaimed(state, recorded, event)
        case ApprovalExpired():
            return deadlines.expired(state, recorded, event)
        case ApprovalDelegated():
            return delegation.delegated(state, recorded, event)
        case DelegationTakenBack():
            return delegation.taken_back(state, recorded, event)
        case ApprovalEscalated():
            return deadlines.escalated(state, recorded, event)
        case ApprovalReminded():
            return deadlines.reminded(state, recorded, event)
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
