"""The decider: which events a command causes, or why it is refused.

Where several refusals hold, this order decides which is told: FORBIDDEN, NOT_FOUND, INVALID_INPUT,
FENCED, then a repeat or KEY_REUSED, ALREADY_DECIDED or ALREADY_REDEEMED, VERSION_CONFLICT,
INVALID_TRANSITION, NOT_ELIGIBLE, DIGEST_MISMATCH.
"""

from typing import NoReturn

from domain import authorization
from domain.approvals import eligibility, quorum
from domain.approvals.document import document_digest, document_of
from domain.approvals.state import Approval, ApprovalStatus, Decision, Verdict
from domain.execution import waits
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
from domain.execution.events import (
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    Cancelled,
    Claimed,
    Completed,
    DecisionContent,
    ErrorContent,
    Event,
    Failed,
    ReasonContent,
    RequestContent,
    ResultContent,
    Resumed,
    Retried,
    Started,
    StartedContent,
    StepCompleted,
    StepFailed,
)
from domain.execution.state import Execution, Step
from domain.execution.transitions import check_transition
from domain.identifiers import ApprovalId
from domain.refusals import Refusal, RefusalCode
from domain.serialization.canonical_json import same
from domain.values import ExecutionState

Events = tuple[Event, ...]


def decide(state: Execution | None, command: Command) -> Events:
    """Give the events that the command causes: none if it was carried out before (a repeat).

    ``state`` is the execution as it stands, None if there is none. Raises Refusal.
    """
    if reason := authorization.forbidden(command):
        raise Refusal(RefusalCode.FORBIDDEN, reason)
    if isinstance(command, StartExecution):
        return _start(state, command)
    if state is None or not _visible(state, command):
        _refuse_unknown(command)
    _check_queue(state, command)
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    if isinstance(command, WorkerCommand):
        _check_fence(state, command)
    _check_parked(state, command)
    match command:
        case RecordStep():
            return _record_step(state, command)
        case RequestApproval():
            return _request(state, command)
        case Decide():
            return _decide(state, command)
        case RedeemApproval():
            return _redeem(state, command)
        case WithdrawApproval():
            return _withdraw(state, command)
        case SetTimer():
            return waits.set_timer(state, command)
        case FireTimer():
            return waits.fire_timer(state, command)
        case CancelTimer():
            return waits.cancel_timer(state, command)
        case SendSignal():
            return waits.send_signal(state, command)
        case StartChild():
            return waits.start_child(state, command)
        case EndChild():
            return waits.end_child(state, command)
        case SuspendExecution():
            return waits.suspend(state, command)
        case ParkExecution():
            return waits.park(state, command)
        case UnparkExecution():
            return waits.unpark(state, command)
        case CompleteExecution():
            return _complete(state, command)
        case ClaimExecution():
            check_transition(state, Claimed)
            return (Claimed(worker=command.worker, fence=state.fence + 1),)
        case FailExecution():
            return _fail(state, command)
        case CancelExecution():
            return _cancel(state, command)
        case RetryExecution():
            return _retry(state, command)
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
        message = f"no approval {ApprovalId(command.execution_id, command.ordinal)}"
    else:
        message = f"no execution {command.execution_id}"
    raise Refusal(RefusalCode.NOT_FOUND, message)


def _check_queue(state: Execution, command: Command) -> None:
    """Another role may show an engine the executions of queues on which it does not work."""
    if isinstance(command, WorkerCommand | ClaimExecution) and not command.by.serves(state.queue):
        message = f"this token does not serve the queue of {state.id}"
        raise Refusal(RefusalCode.FORBIDDEN, message)


def _check_fence(state: Execution, command: WorkerCommand) -> None:
    if command.fence == state.fence or (state.fence == 0 and command.fence is None):
        return
    if command.fence is None:
        message = f"{state.id} was claimed, so a fencing token is needed"
    else:
        message = f"fencing token {command.fence} is not the current one of {state.id}"
    raise Refusal(RefusalCode.FENCED, message)


def _check_parked(state: Execution, command: Command) -> None:
    if state.parked is None or isinstance(command, ParkExecution):
        return
    if isinstance(command, WorkerCommand | ClaimExecution):
        message = f"{state.id} is parked, no worker goes on with it: {state.parked}"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)


def _start(state: Execution | None, command: StartExecution) -> Events:
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    if state is None:
        return (
            Started(
                workflow=command.workflow,
                workflow_version=command.workflow_version,
                queue=command.queue,
                key=command.key,
                on_behalf_of=command.on_behalf_of,
                parent=command.parent,
                content=StartedContent(
                    input=command.input, labels=tuple(sorted(set(command.labels)))
                ),
            ),
        )
    unchanged = (
        (state.workflow, state.workflow_version, state.queue, state.key, state.on_behalf_of)
        == (
            command.workflow,
            command.workflow_version,
            command.queue,
            command.key,
            command.on_behalf_of,
        )
        and (command.execution_id == state.id or command.given_id is None)
        and (state.initiator.id, state.parent) == (command.by.id, command.parent)
        and set(state.labels) == set(command.labels)
        and same(state.input, command.input)
    )
    if not unchanged:
        message = "an execution with this id or idempotency key was started with other content"
        raise Refusal(RefusalCode.KEY_REUSED, message)
    return ()


def _record_step(state: Execution, command: RecordStep) -> Events:
    step = state.steps.get(command.key)
    if step is not None and _step_is_known(step, command):
        return ()
    event_type = StepCompleted if command.error is None else StepFailed
    check_transition(state, event_type)
    if command.error is None:
        return (
            StepCompleted(
                key=command.key,
                name=command.name,
                attempt=command.attempt,
                content=ResultContent(result=command.result),
            ),
        )
    return (
        StepFailed(
            key=command.key,
            name=command.name,
            attempt=command.attempt,
            content=ErrorContent(error=command.error),
        ),
    )


def _step_is_known(step: Step, command: RecordStep) -> bool:
    if step.name != command.name:
        message = f"step {command.key!r} was recorded under the name {step.name!r}"
        raise Refusal(RefusalCode.KEY_REUSED, message)
    failure = None if command.error is None else step.failure_of(command.attempt)
    if failure is None:
        return step.completed_at is not None
    if failure[1] != command.error:
        message = f"attempt {command.attempt} of step {command.key!r} failed with another error"
        raise Refusal(RefusalCode.KEY_REUSED, message)
    return True


def _request(state: Execution, command: RequestApproval) -> Events:
    latest = state.rounds.get(command.key)
    last = None if latest is None else state.approvals[latest]
    if last is not None and not _opens_new_round(state, last):
        if not _same_request(last, command):
            message = f"approval {command.key!r} was asked for with other content"
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, ApprovalRequested)
    approval = Approval(
        id=ApprovalId(state.id, len(state.approvals) + 1),
        key=command.key,
        round=1 if last is None else last.round + 1,
        title=command.title,
        description=command.description,
        payload=command.payload,
        payload_digest=command.payload_digest,
        digest="",
        policy=command.policy,
        requested_by=command.by.actor,
        requested_at=state.updated_at,
        requested_version=state.version + 1,
    )
    return (
        ApprovalRequested(
            ordinal=approval.ordinal,
            key=approval.key,
            round=approval.round,
            policy=approval.policy,
            payload_digest=approval.payload_digest,
            digest=document_digest(document_of(state, approval), command.canonical_payload),
            content=RequestContent(
                title=command.title, description=command.description, payload=command.payload
            ),
        ),
    )


def _opens_new_round(state: Execution, last: Approval) -> bool:
    retried_since = len(state.retried_from) > last.retry
    return retried_since and last.status is not ApprovalStatus.GRANTED


def _same_request(approval: Approval, command: RequestApproval) -> bool:
    return (
        approval.title == command.title
        and approval.description == command.description
        and approval.payload_digest == command.payload_digest
        and approval.policy == command.policy
    )


def _decide(state: Execution, command: Decide) -> Events:
    approval = state.approvals[command.ordinal]
    earlier = approval.decision_of(command.by.id)
    if earlier is not None:
        if (earlier.verdict, earlier.digest) == (command.verdict, command.digest):
            return ()
        if earlier.verdict is not command.verdict:
            message = f"{command.by.id} decided {approval.id} already: {earlier.verdict}"
            raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    if not approval.pending:
        message = f"approval {approval.id} is {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    granting = command.verdict is Verdict.GRANTED
    event_type = ApprovalGranted if granting else ApprovalRejected
    check_transition(state, event_type)
    if objection := next(eligibility.objections(command.by, state, approval), None):
        raise Refusal(RefusalCode.NOT_ELIGIBLE, objection)
    if command.digest != approval.digest:
        message = f"the document of {approval.id} has the digest {approval.digest}"
        raise Refusal(RefusalCode.DIGEST_MISMATCH, message)
    rule = eligibility.rule_for(command.by, approval)
    groups = eligibility.counted_groups(command.by, approval)
    decision = Decision(
        verdict=command.verdict,
        by=command.by.actor,
        at=state.updated_at,
        version=state.version + 1,
        digest=command.digest,
        rule=rule,
        groups=groups,
    )
    resolves = _resolves(approval, decision)
    event = event_type(
        ordinal=approval.ordinal,
        digest=command.digest,
        rule=rule,
        groups=groups,
        resolves=resolves,
        content=DecisionContent(comment=command.comment),
    )
    return _resume_after(state, event) if resolves else (event,)


def _resolves(approval: Approval, decision: Decision) -> bool:
    decisions = (*approval.decisions, decision)
    if decision.verdict is Verdict.GRANTED:
        return not quorum.missing(approval.policy, decisions)
    rejected = sum(d.verdict is Verdict.REJECTED for d in decisions)
    return rejected >= approval.policy.rejections


def _resume_after(state: Execution, resolution: Event) -> Events:
    """Resolution and Resumed are one commit, so no moment knows the one and not the other."""
    return (resolution, Resumed()) if state.pending == 1 else (resolution,)


def _withdraw(state: Execution, command: WithdrawApproval) -> Events:
    approval = state.approvals[command.ordinal]
    if approval.status is ApprovalStatus.WITHDRAWN:
        return ()
    if not approval.pending:
        message = f"approval {approval.id} is {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    check_transition(state, ApprovalWithdrawn)
    withdrawn = ApprovalWithdrawn(
        ordinal=approval.ordinal, content=ReasonContent(reason=command.reason)
    )
    return _resume_after(state, withdrawn)


def _redeem(state: Execution, command: RedeemApproval) -> Events:
    approval = state.approvals[command.ordinal]
    if approval.redemption_key is not None:
        if approval.redemption_key != command.redemption_key:
            message = f"approval {approval.id} was redeemed under another key"
            raise Refusal(RefusalCode.ALREADY_REDEEMED, message)
        if approval.payload_digest != command.payload_digest:
            message = f"approval {approval.id} was redeemed under this key with another digest"
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    if approval.status is not ApprovalStatus.GRANTED:
        message = f"approval {approval.id} is {approval.status}, only a granted one is redeemed"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    check_transition(state, ApprovalRedeemed)
    if approval.payload_digest != command.payload_digest:
        message = f"what was granted has the payload digest {approval.payload_digest}"
        raise Refusal(RefusalCode.DIGEST_MISMATCH, message)
    return (
        ApprovalRedeemed(
            ordinal=approval.ordinal,
            payload_digest=command.payload_digest,
            redemption_key=command.redemption_key,
        ),
    )


def _complete(state: Execution, command: CompleteExecution) -> Events:
    if state.state is ExecutionState.COMPLETED:
        return ()
    check_transition(state, Completed)
    return (Completed(content=ResultContent(result=command.result)),)


def _fail(state: Execution, command: FailExecution) -> Events:
    if state.state is ExecutionState.FAILED:
        return ()
    check_transition(state, Failed)
    failed = Failed(content=ErrorContent(error=command.error))
    return (*_withdraw_pending(state, "the execution failed"), failed)


def _cancel(state: Execution, command: CancelExecution) -> Events:
    if state.state is ExecutionState.CANCELLED:
        return ()
    check_transition(state, Cancelled)
    cancelled = Cancelled(content=ReasonContent(reason=command.reason))
    return (*_withdraw_pending(state, "the execution was cancelled"), cancelled)


def _withdraw_pending(state: Execution, reason: str) -> Events:
    return tuple(
        ApprovalWithdrawn(ordinal=approval.ordinal, content=ReasonContent(reason=reason))
        for approval in state.pending_approvals()
    )


def _retry(state: Execution, command: RetryExecution) -> Events:
    if command.expected_version in state.retried_from:
        return ()
    if command.expected_version != state.version:
        message = f"{state.id} is at version {state.version}, not {command.expected_version}"
        raise Refusal(RefusalCode.VERSION_CONFLICT, message)
    check_transition(state, Retried)
    return (Retried(),)
