"""Find the event by which a repeated command was carried out the first time.

A repeat records nothing. Its answer names the version of that event, as the first answer did.
"""

from domain.approvals.commands import (
    ActOnDeadline,
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
from domain.approvals.comments import same_key
from domain.approvals.decide import decision_repeated
from domain.approvals.decide_in_advance import made_in_advance
from domain.approvals.rounds import requested_by
from domain.execution.commands import (
    CancelExecution,
    CancelTimer,
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
)
from domain.execution.lifecycle import retried_after
from domain.execution.state import Execution, Step
from domain.names import same_name


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
            approval = requested_by(state, command)
            if approval is not None:
                return approval.requested_version
        case Decide():
            decision = decision_repeated(state.approvals[command.ordinal], command)
            if decision is not None:
                return decision.version
        case DecideInAdvance():
            made = made_in_advance(state.approvals[command.ordinal], command)
            if made is not None:
                return made.version
        case ActOnDeadline():
            return state.approvals[command.ordinal].resolved_version
        case RetractDecision():
            return (
                state.approvals[command.ordinal].decisions_of(command.by.id)[-1].retracted_version
            )
        case DelegateApproval():
            standing = state.approvals[command.ordinal].delegation_from(command.by.id)
            if standing is not None:
                return standing.version
        case TakeBackDelegation():
            handed = state.approvals[command.ordinal].delegations
            mine = [each for each in handed if same_name(each.by.id, command.by.id)]
            return mine[-1].taken_back_version
        case RevokeApproval():
            return state.approvals[command.ordinal].resolved_version
        case CommentApproval():
            known = state.approvals[command.ordinal].comments
            if mark := same_key(known, command.by, command.key):
                return mark.version
        case ClaimApproval() | UnclaimApproval():
            approval = state.approvals[command.ordinal]
            return approval.claimed_version or approval.requested_version
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
        case CancelExecution() if not state.state.final:
            return state.cancel_requested_version
        case CompleteExecution() | FailExecution() | CancelExecution() | EndCancellation():
            return state.ended_version
        case RetryExecution():
            retried = retried_after(state, command.expected_version)
            if retried is not None:
                return retried + 1
    msg = f"{type(command).__name__} of {state.id} is no repeat"
    raise ValueError(msg)


def _step_version(step: Step, command: RecordStep) -> int:
    failure = None if command.error is None else step.failure_of(command.attempt)
    return step.completed_version if failure is None else failure[2]
