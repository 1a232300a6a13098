"""Deciding about what an execution waits for beside people: timers, signals, children; parking.

Repeats and refusals follow the order that :mod:`domain.execution.decide` states.
"""

from uuid import UUID, uuid5

from domain.execution.commands import (
    CancelTimer,
    EndChild,
    FireTimer,
    ParkExecution,
    SendSignal,
    SetTimer,
    StartChild,
    SuspendExecution,
    UnparkExecution,
)
from domain.execution.events import (
    ChildContent,
    ChildEnded,
    ChildStarted,
    Event,
    Parked,
    ReasonContent,
    SignalContent,
    SignalReceived,
    StartedContent,
    Suspended,
    TimerCancelled,
    TimerFired,
    TimerSet,
    Unparked,
)
from domain.execution.state import Child, Execution, Timer
from domain.execution.transitions import check_transition
from domain.refusals import Refusal, RefusalCode
from domain.serialization.canonical_json import same
from domain.values import ExecutionState

Events = tuple[Event, ...]


def set_timer(state: Execution, command: SetTimer) -> Events:
    """Set a timer, known by its key; anew if it was cancelled and the execution retried since."""
    timer = state.timers.get(command.key)
    if timer is not None and not timer.anew(state.retried_from):
        if (timer.delay, timer.until) != (command.delay, command.until):
            message = f"timer {command.key!r} was set to another time"
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, TimerSet)
    return (TimerSet(key=command.key, delay=command.delay, until=command.until),)


def fire_timer(state: Execution, command: FireTimer) -> Events:
    """Let a timer fire; once it is done this changes nothing."""
    if not _timer(state, command.key).pending:
        return ()
    check_transition(state, TimerFired)
    return (TimerFired(key=command.key),)


def cancel_timer(state: Execution, command: CancelTimer) -> Events:
    """Cancel a timer; once it has fired this changes nothing."""
    if not _timer(state, command.key).pending:
        return ()
    check_transition(state, TimerCancelled)
    return (TimerCancelled(key=command.key),)


def _timer(state: Execution, key: str) -> Timer:
    timer = state.timers.get(key)
    if timer is None:
        message = f"{state.id} has no timer {key!r}"
        raise Refusal(RefusalCode.NOT_FOUND, message)
    return timer


def send_signal(state: Execution, command: SendSignal) -> Events:
    """Hand data to the execution, known by its key."""
    signal = state.signals.get(command.key)
    if signal is not None:
        if signal.name != command.name or not same(signal.payload, command.payload):
            message = f"signal {command.key!r} was sent with other content"
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, SignalReceived)
    content = SignalContent(payload=command.payload)
    return (SignalReceived(key=command.key, name=command.name, content=content),)


def start_child(state: Execution, command: StartChild) -> Events:
    """Start a child, known by its key and round.

    As with approvals, a new round opens only if the execution was retried since and the last
    round did not complete.
    """
    last = state.children.get(command.key)
    if last is not None and not _opens_new_round(state, last):
        unchanged = (last.workflow, last.workflow_version, last.queue) == (
            command.workflow,
            command.workflow_version,
            command.queue,
        )
        if not (unchanged and same(last.input, command.input)):
            message = f"child {command.key!r} was started with other content"
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, ChildStarted)
    round_ = 1 if last is None else last.round + 1
    return (
        ChildStarted(
            key=command.key,
            round=round_,
            child_id=child_id(state.id, command.key, round_),
            workflow=command.workflow,
            workflow_version=command.workflow_version,
            queue=command.queue,
            content=StartedContent(input=command.input),
        ),
    )


def child_id(parent: UUID, key: str, round_: int) -> UUID:
    """Give the id of a child: the same whoever starts it, and however often."""
    return uuid5(parent, f"{round_}/{key}")


def _opens_new_round(state: Execution, last: Child) -> bool:
    retried_since = len(state.retried_from) > last.retry
    return retried_since and last.outcome not in {None, ExecutionState.COMPLETED}


def end_child(state: Execution, command: EndChild) -> Events:
    """Tell a parent how a child ended; a child of an earlier round is of no interest any more."""
    child = state.children.get(command.key)
    if child is None or child.round < command.round:
        message = f"{state.id} has no child {command.key!r} of round {command.round}"
        raise Refusal(RefusalCode.NOT_FOUND, message)
    if child.round > command.round or child.outcome is not None:
        return ()
    check_transition(state, ChildEnded)
    return (
        ChildEnded(
            key=command.key,
            round=command.round,
            outcome=command.outcome,
            content=ChildContent(result=command.result, error=command.error),
        ),
    )


def suspend(state: Execution, command: SuspendExecution) -> Events:
    """Note that the worker waits; not if something came that it had not seen."""
    if command.seen != state.woken_version:
        message = (
            f"something came at version {state.woken_version} of {state.id}, "
            f"the worker has seen what came up to version {command.seen}"
        )
        raise Refusal(RefusalCode.VERSION_CONFLICT, message)
    if state.asleep:
        return ()
    check_transition(state, Suspended)
    return (Suspended(),)


def park(state: Execution, command: ParkExecution) -> Events:
    """Let no worker go on. Of two reasons the first stays."""
    if state.parked is not None:
        return ()
    check_transition(state, Parked)
    return (Parked(content=ReasonContent(reason=command.reason)),)


def unpark(state: Execution, command: UnparkExecution) -> Events:
    """Let workers go on again."""
    if state.parked is None and state.unparked_version:
        return ()
    if state.parked is None:
        message = f"{command.execution_id} is not parked"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    check_transition(state, Unparked)
    return (Unparked(),)
