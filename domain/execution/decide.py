"""The decider: which events a command causes, or why it is refused.

If several refusals apply, the first in this order is reported: FORBIDDEN by role, NOT_FOUND,
FORBIDDEN by queue, INVALID_INPUT, FENCED, INVALID_TRANSITION because it is parked, a repeat or
KEY_REUSED, ALREADY_DECIDED or ALREADY_REDEEMED, VERSION_CONFLICT, INVALID_TRANSITION, LAPSED,
NOT_ELIGIBLE, STEP_UP_REQUIRED, DIGEST_MISMATCH, and INVALID_INPUT for what a policy asks of a
grant.

This module makes the checks that are the same for many commands, up to the one for parking. The
module of each subject makes the rest.
"""

from datetime import datetime
from typing import NoReturn

from msgspec.structs import replace

from domain import authorization
from domain.approvals import (
    claim,
    comments,
    deadlines,
    decide_in_advance,
    delegation,
    retraction,
    revocation,
)
from domain.approvals import decide as approvals
from domain.approvals.commands import (
    ActOnDeadline,
    ApprovalCommand,
    ClaimApproval,
    CommentApproval,
    Decide,
    DecideInAdvance,
    DelegateApproval,
    RedeemApproval,
    RequestApproval,
    RetractDecision,
    RevokeApproval,
    TakeBackDelegation,
    UnclaimApproval,
    WithdrawApproval,
)
from domain.execution import cancellation, children, lifecycle, parking, signals, steps, timers
from domain.execution.commands import (
    CancelExecution,
    CancelTimer,
    ClaimExecution,
    Command,
    CompleteExecution,
    EndCancellation,
    EndChild,
    FailExecution,
    FireTimer,
    ParkExecution,
    RecordStep,
    RetryExecution,
    SendSignal,
    SetTimer,
    StartChild,
    StartExecution,
    SuspendExecution,
    UnparkExecution,
    WorkerCommand,
)
from domain.execution.events import Events
from domain.execution.state import Execution
from domain.identifiers import ApprovalId
from domain.names import same_name
from domain.refusals import Refusal, RefusalCode


def decide(state: Execution | None, command: Command, now: datetime) -> Events:
    """Return the events that the command causes; none for a repeat, which was carried out before.

    ``state`` is the current state of the execution, or None if there is none yet. ``now`` is the
    time that the events will have. Raises Refusal.
    """
    command = _with_caller_at(command, now)
    if reason := authorization.forbidden(command):
        raise Refusal(RefusalCode.FORBIDDEN, reason)
    if isinstance(command, StartExecution):
        return lifecycle.start(state, command)
    if state is None or not _visible(state, command):
        _refuse_unknown(command)
    operates = authorization.acts_as_operator(command)
    if isinstance(command, WorkerCommand | ClaimExecution) and not operates:
        _check_queue(state, command)
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    if isinstance(command, WorkerCommand) and not operates:
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
            _check_cancellation(state, command)
            return cancellation.cancel(state, command)
        case EndCancellation():
            return cancellation.end_cancellation(state, command)
        case RetryExecution():
            return lifecycle.retry(state, command)
        case RecordStep():
            return steps.record_step(state, command)
        case RequestApproval():
            return approvals.request(state, command, now)
        case Decide():
            return approvals.decide(state, command, now)
        case DecideInAdvance():
            return decide_in_advance.decide_in_advance(state, command, now)
        case ActOnDeadline():
            return deadlines.act(state, command, now)
        case RetractDecision():
            return retraction.retract(state, command)
        case DelegateApproval():
            return delegation.delegate(state, command)
        case TakeBackDelegation():
            return delegation.take_back(state, command)
        case RevokeApproval():
            return revocation.revoke(state, command)
        case CommentApproval():
            return comments.comment(state, command)
        case ClaimApproval():
            return claim.claim(state, command, now)
        case UnclaimApproval():
            return claim.unclaim(state, command, now)
        case RedeemApproval():
            return approvals.redeem(state, command, now)
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


def _with_caller_at(command: Command, now: datetime) -> Command:
    """Leave out the substitutions of the caller that are not in force at this moment."""
    by = command.by.at(now)
    return command if by is command.by else replace(command, by=by)


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
    if not command.by.serves(state.queue):
        message = f"this token does not serve the queue of execution {state.id}"
        raise Refusal(RefusalCode.FORBIDDEN, message)


def _check_cancellation(state: Execution, command: CancelExecution) -> None:
    if not authorization.may_cancel(command.by, state):
        message = (
            f"execution {state.id} is no child on a queue that this token serves; cancelling it "
            "needs the role OPERATOR or ADMIN"
        )
        raise Refusal(RefusalCode.FORBIDDEN, message)


def _check_fence(state: Execution, command: WorkerCommand) -> None:
    if state.fence == 0 and command.fence in {None, 0}:
        return
    if command.fence == state.fence and same_name(command.by.id, state.holder):
        return
    if command.fence == state.fence:
        # Whoever reads the execution reads its fence, so the fence alone proves nothing.
        message = (
            f"execution {state.id} was claimed by another owner's worker; "
            "claim it yourself before working on it"
        )
    elif command.fence is None:
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
    """No worker goes on with a parked execution.

    A step that had redeemed an approval before may still record its outcome. It is not begun a
    second time, so the outcome would be unknown for ever.
    """
    if state.parked is None or isinstance(command, ParkExecution):
        return
    if isinstance(command, RecordStep) and state.redeemed_under(command.key):
        return
    if isinstance(command, WorkerCommand | ClaimExecution):
        message = (
            f"execution {state.id} is parked, so workers can't go on with it until it is "
            f"unparked: {state.parked}"
        )
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
