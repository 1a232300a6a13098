"""Timers: deciding about them, and folding what became of them."""

from msgspec.structs import replace

from domain.execution.commands import CancelTimer, FireTimer, SetTimer
from domain.execution.events import Events, Recorded, TimerCancelled, TimerFired, TimerSet
from domain.execution.state import Changes, Execution, Timer
from domain.execution.transitions import check_transition
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode


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


def timer_set(state: Execution, recorded: Recorded, event: TimerSet) -> Changes:
    last = state.timers.get(event.key)
    if last is not None and not last.anew(state.retried_from):
        msg = f"timer {event.key!r} of {state.id} was set already"
        raise IllegalTransitionError(msg)
    if event.until is not None:
        fires_at = event.until
    elif event.delay is not None:
        fires_at = recorded.at + event.delay
    else:
        msg = f"timer {event.key!r} of {state.id} does not say when it fires"
        raise IllegalTransitionError(msg)
    timer = Timer(
        key=event.key,
        delay=event.delay,
        until=event.until,
        fires_at=fires_at,
        set_version=recorded.version,
    )
    return {"timers": state.timers.insert(event.key, timer)}


def timer_fired(state: Execution, recorded: Recorded, event: TimerFired) -> Changes:
    return {**_end(state, recorded, event.key), "woken_version": recorded.version}


def timer_cancelled(state: Execution, recorded: Recorded, event: TimerCancelled) -> Changes:
    return _end(state, recorded, event.key, cancelled=True)


def _end(state: Execution, recorded: Recorded, key: str, *, cancelled: bool = False) -> Changes:
    timer = state.timers.get(key)
    if timer is None or not timer.pending:
        msg = f"timer {key!r} of {state.id} is not pending"
        raise IllegalTransitionError(msg)
    done = replace(timer, done_version=recorded.version, cancelled=cancelled)
    return {"timers": state.timers.insert(key, done)}
