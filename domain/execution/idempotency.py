"""Find the event by which a repeated command was carried out the first time.

A repeat records nothing. Its answer names the version of that event, as the first answer did.
"""

from domain.execution.commands import (
    CancelExecution,
    CancelTimer,
    Command,
    CompleteExecution,
    Decide,
    EndChild,
    FailExecution,
    FireTimer,
    ParkExecution,
    RecordStep,
    RedeemApproval,
    RequestApproval,
    RetryExecution,
    SendSignal,
    SetTimer,
    StartChild,
    StartExecution,
    SuspendExecution,
    UnparkExecution,
    WithdrawApproval,
)
from domain.execution.state import Execution, Step


def first_version(state: Execution, command: Command) -> int:
    """Return the version of the event by which the command was carried out.

    Call it only for a command for which ``decide`` returned no events. The version is that of the
    command's own event, even if a Resumed followed in the same commit. Raises ValueError for a
    command that was not carried out.
    """
    match command:
        case StartExecution():
            return 1
        case RecordStep():
            return _step_version(state.steps[command.key], command)
        case RequestApproval():
            return state.approvals[state.rounds[command.key]].requested_version
        case Decide():
            decision = state.approvals[command.ordinal].decision_of(command.by.id)
            if decision is not None:
                return decision.version
        case WithdrawApproval():
            return state.approvals[command.ordinal].resolved_version
        case RedeemApproval():
            return state.approvals[command.ordinal].redeemed_version
        case SetTimer():
            return state.timers[command.key].set_version
        case FireTimer() | CancelTimer():
            return state.timers[command.key].done_version
        case SendSignal():
            return state.signals[command.key].version
        case StartChild():
            return state.children[command.key].started_version
        case EndChild():
            return state.children[command.key].ended_version or state.version
        case SuspendExecution():
            return state.asleep_version
        case ParkExecution():
            return state.parked_version
        case UnparkExecution():
            return state.unparked_version
        case CompleteExecution() | FailExecution() | CancelExecution():
            return state.ended_version
        case RetryExecution():
            return command.expected_version + 1
    msg = f"{type(command).__name__} of {state.id} is no repeat"
    raise ValueError(msg)


def _step_version(step: Step, command: RecordStep) -> int:
    failure = None if command.error is None else step.failure_of(command.attempt)
    return step.completed_version if failure is None else failure[2]
