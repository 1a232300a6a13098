"""The decider: which events a command causes, or why it is refused.

If several refusals apply, the first in this order is reported: FORBIDDEN by role, NOT_FOUND,
FORBIDDEN by queue, INVALID_INPUT, FENCED, INVALID_TRANSITION because it is parked, a repeat or
KEY_REUSED, ALREADY_DECIDED or ALREADY_REDEEMED, VERSION_CONFLICT, INVALID_TRANSITION, NOT_ELIGIBLE,
DIGEST_MISMATCH.

This module makes the checks that are the same for many commands, up to the one for parking. The
module of each subject makes the rest.
"""

from typing import NoReturn

from domain import authorization
from domain.approvals import decide as approvals
from domain.execution import children, lifecycle, parking, signals, steps, timers
from domain.execution.commands import (
    ApprovalCommand,
    CancelExecution,
    CancelTimer,
    ClaimExecution,
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
    WorkerCommand,
)
from domain.execution.events import Events
from domain.execution.state import Execution
from domain.identifiers import ApprovalId
from domain.refusals import Refusal, RefusalCode


def decide(state: Execution | None, command: Command) -> Events:
    """Return the events that the command causes; none for a repeat, which was carried out before.

    ``state`` is the current state of the execution, or None if there is none yet. Raises Refusal.
    """
    if reason := authorization.forbidden(command):
        raise Refusal(RefusalCode.FORBIDDEN, reason)
    if isinstance(command, StartExecution):
        return lifecycle.start(state, command)
    if state is None or not _visible(state, command):
        _refuse_unknown(command)
    _check_queue(state, command)
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    if isinstance(command, WorkerCommand):
        _check_fence(state, command)
    _check_parked(state, command)
    match command:
        case ClaimExecution():
            return lifecycle.claim(state, command)
        case CompleteExecution():
            return lifecycle.complete(state, command)
        case FailExecution():
            return lifecycle.fail(state, command)
        case CancelExecution():
            return lifecycle.cancel(state, command)
        case RetryExecution():
            return lifecycle.retry(state, command)
        case RecordStep():
            return steps.record_step(state, command)
        case RequestApproval():
            return approvals.request(state, command)
        case Decide():
            return approvals.decide(state, command)
        case RedeemApproval():
            return approvals.redeem(state, command)
        case WithdrawApproval():
            return approvals.withdraw(state, command)
        case SetTimer():
            return timers.set_timer(state, command)
        case FireTimer():
            return timers.fire_timer(state, command)
        case CancelTimer():
            return timers.cancel_timer(state, command)
        case SendSignal():
            return signals.send_signal(state, command)
        case StartChild():
            return children.start_child(state, command)
        case EndChild():
            return children.end_child(state, command)
        case SuspendExecution():
            return parking.suspend(state, command)
        case ParkExecution():
            return parking.park(state, command)
        case UnparkExecution():
            return parking.unpark(state, command)
        case _:
            msg = f"no decision for {type(command).__name__}"
            raise TypeError(msg)


def _visible(state: Execution, command: Command) -> bool:
    if not isinstance(command, ApprovalCommand):
        return authorization.sees_execution(command.by, state)
    approval = state.approvals.get(command.ordinal)
    return approval is not None and authorization.sees_approval(command.by, state, approval)


def _refuse_unknown(command: Command) -> NoReturn:
    if isinstance(command, ApprovalCommand):
        approval_id = ApprovalId(command.execution_id, command.ordinal)
        message = f"no approval {approval_id} that this token may see"
    else:
        message = f"no execution {command.execution_id} that this token may see"
    raise Refusal(RefusalCode.NOT_FOUND, message)


def _check_queue(state: Execution, command: Command) -> None:
    """A worker acts only on its queues, although another role may let it read all of them."""
    if isinstance(command, WorkerCommand | ClaimExecution) and not command.by.serves(state.queue):
        message = f"this token does not serve the queue of execution {state.id}"
        raise Refusal(RefusalCode.FORBIDDEN, message)


def _check_fence(state: Execution, command: WorkerCommand) -> None:
    if command.fence == state.fence or (state.fence == 0 and command.fence is None):
        return
    if command.fence is None:
        message = (
            f"execution {state.id} was claimed by a worker, so a fencing token is needed; "
            "send the one that the claim returned"
        )
    else:
        message = (
            f"fencing token {command.fence} is not the current one of execution {state.id}; "
            "stop working on it, or claim it again"
        )
    raise Refusal(RefusalCode.FENCED, message)


def _check_parked(state: Execution, command: Command) -> None:
    if state.parked is None or isinstance(command, ParkExecution):
        return
    if isinstance(command, WorkerCommand | ClaimExecution):
        message = (
            f"execution {state.id} is parked, so workers can't go on with it until it is "
            f"unparked: {state.parked}"
        )
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
