"""Timers: decide the commands about them, and apply their events."""

from msgspec.structs import replace

from domain.execution.commands import CancelTimer, FireTimer, SetTimer
from domain.execution.events import Events, Recorded, TimerCancelled, TimerFired, TimerSet
from domain.execution.state import Changes, Execution, Timer
from domain.execution.transitions import check_transition
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode


def set_timer(state: Execution, command: SetTimer) -> Events:
    """Set a timer. Its key can be set again after it was cancelled and the execution retried."""
    timer = state.timers.get(command.key)
    if timer is not None and not timer.anew(state.retried_from):
        if (timer.delay, timer.until) != (command.delay, command.until):
            message = (
                f"timer {command.key!r} was already set to another time; "
                "give a different timer its own key"
            )
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, TimerSet)
    return (TimerSet(key=command.key, delay=command.delay, until=command.until),)


def fire_timer(state: Execution, command: FireTimer) -> Events:
    """Fire a timer. It is a repeat if the timer has fired or was cancelled.

    A timer that was set again meanwhile is not fired for its earlier setting.
    """
    timer = _timer(state, command.key)
    if command.set_version not in {None, timer.set_version}:
        message = f"timer {command.key!r} was set again, at version {timer.set_version}"
        raise Refusal(RefusalCode.VERSION_CONFLICT, message)
    if not timer.pending:
        return ()
    check_transition(state, TimerFired)
    return (TimerFired(key=command.key),)


def cancel_timer(state: Execution, command: CancelTimer) -> Events:
    """Cancel a timer. It is a repeat if the timer has fired or was cancelled."""
    if not _timer(state, command.key).pending:
        return ()
    check_transition(state, TimerCancelled)
    return (TimerCancelled(key=command.key),)


def _timer(state: Execution, key: str) -> Timer:
    timer = state.timers.get(key)
    if timer is None:
        message = f"execution {state.id} has no timer {key!r}"
        raise Refusal(RefusalCode.NOT_FOUND, message)
    return timer


def timer_set(state: Execution, recorded: Recorded, event: TimerSet) -> Changes:
    """Add a pending timer. A delay counts from the time at which the event was recorded."""
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
    """End the timer, which gives a waiting worker something to do."""
    return {**_end(state, recorded, event.key), "woken_version": recorded.version}


def timer_cancelled(state: Execution, recorded: Recorded, event: TimerCancelled) -> Changes:
    """End the timer without waking anybody."""
    return _end(state, recorded, event.key, cancelled=True)


def _end(state: Execution, recorded: Recorded, key: str, *, cancelled: bool = False) -> Changes:
    timer = state.timers.get(key)
    if timer is None or not timer.pending:
        msg = f"timer {key!r} of {state.id} is not pending"
        raise IllegalTransitionError(msg)
    done = replace(timer, done_version=recorded.version, cancelled=cancelled)
    return {"timers": state.timers.insert(key, done)}
