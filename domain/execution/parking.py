"""Suspending and parking: decide the commands about them, and apply their events.

A suspended execution waits for a timer, a signal or a child. A parked one waits for a person to let
workers go on.
"""

from domain.execution.commands import ParkExecution, SuspendExecution, UnparkExecution
from domain.execution.event import (
    ReasonContent,
)
from domain.execution.events import (
    Events,
    Parked,
    Recorded,
    Suspended,
    Unparked,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import check_transition
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode


def suspend(state: Execution, command: SuspendExecution) -> Events:
    """Suspend the execution, unless something came that the worker has not seen."""
    if command.seen != state.woken_version:
        message = (
            f"execution {state.id} was woken at version {state.woken_version}, but the worker has "
            f"seen wake-ups up to version {command.seen}; handle the new ones before suspending"
        )
        raise Refusal(RefusalCode.VERSION_CONFLICT, message)
    if state.asleep:
        return ()
    check_transition(state, Suspended)
    return (Suspended(),)


def park(state: Execution, command: ParkExecution) -> Events:
    """Stop workers from going on. If the execution is parked already, the first reason stays."""
    if state.parked is not None:
        return ()
    check_transition(state, Parked)
    return (Parked(content=ReasonContent(reason=command.reason)),)


def unpark(state: Execution, command: UnparkExecution) -> Events:
    """Let workers go on again."""
    if state.parked is None and state.unparked_version:
        return ()
    if state.parked is None:
        message = f"execution {command.execution_id} is not parked"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    check_transition(state, Unparked)
    return (Unparked(),)


def suspended(recorded: Recorded) -> Changes:
    """Mark the execution as asleep."""
    return {"asleep_version": recorded.version}


def parked(state: Execution, recorded: Recorded, event: Parked) -> Changes:
    """Mark the execution as parked."""
    _check_parked(state, expected=False)
    return {"parked": event.content.reason, "parked_version": recorded.version}


def unparked(state: Execution, recorded: Recorded) -> Changes:
    """End the parking, which gives a waiting worker something to do."""
    _check_parked(state, expected=True)
    return {
        "parked": None,
        "parked_version": 0,
        "unparked_version": recorded.version,
        "woken_version": recorded.version,
    }


def _check_parked(state: Execution, *, expected: bool) -> None:
    if (state.parked is not None) is not expected:
        msg = f"{state.id} is {'not ' if expected else ''}parked"
        raise IllegalTransitionError(msg)
