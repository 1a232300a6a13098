"""Signals: decide the command that sends one, and apply its event."""

from domain.execution.commands import SendSignal
from domain.execution.events import Events, Recorded, SignalContent, SignalReceived
from domain.execution.state import Changes, Execution, Signal
from domain.execution.transitions import check_transition
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.serialization.canonical_json import same


def send_signal(state: Execution, command: SendSignal) -> Events:
    """Send data to the execution. The key makes it idempotent."""
    signal = state.signals.get(command.key)
    if signal is not None:
        if signal.name != command.name or not same(signal.payload, command.payload):
            message = (
                f"signal {command.key!r} was already sent with another name or payload; "
                "give a different signal its own key"
            )
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, SignalReceived)
    content = SignalContent(payload=command.payload)
    return (SignalReceived(key=command.key, name=command.name, content=content),)


def signal_received(state: Execution, recorded: Recorded, event: SignalReceived) -> Changes:
    """Add the signal, which gives a waiting worker something to do."""
    if event.key in state.signals:
        msg = f"signal {event.key!r} of {state.id} was received already"
        raise IllegalTransitionError(msg)
    signal = Signal(
        key=event.key,
        name=event.name,
        payload=event.content.payload,
        version=recorded.version,
    )
    return {
        "signals": state.signals.insert(event.key, signal),
        "woken_version": recorded.version,
    }
