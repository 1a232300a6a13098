"""Commands for tests, with defaults for what a test leaves out.

Each function returns an :class:`Ask`, which makes the command from the current state: with the
digest of the approval, the current fence, and the latest approval.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.approvals.commands import (
    ActOnDeadline,
    ClaimApproval,
    CommentApproval,
    Decide,
    DelegateApproval,
    RedeemApproval,
    RequestApproval,
    RetractDecision,
    RevokeApproval,
    TakeBackDelegation,
    UnclaimApproval,
    WithdrawApproval,
)
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Verdict
from domain.authorization import SERVICE
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
)
from domain.execution.state import Execution
from domain.values import ExecutionState, Label, ParentEnd, Principal
from tests.domain.people import named

EXECUTION = UUID("0190f1a6-0000-7000-8000-000000000001")
PAYLOAD = {"trip": "Eindhoven", "cost": 120.5}
AMENDED = {"trip": "Eindhoven", "cost": 90}
HOUR = timedelta(hours=1)
CURRENT = -1
LATEST = 0

Who = str | Principal
Ask = Callable[[Execution | None], Command]
Asker = Callable[..., Ask]


def needs(*groups: str, count: int = 1, users: tuple[str, ...] = (), stage: int = 1) -> Requirement:
    """Return a requirement: ``count`` people out of the groups, or among the users."""
    return Requirement(count=count, groups=groups, users=users, stage=stage)


def policy(*requirements: Requirement, **rest: Any) -> Policy:
    """Return a policy of these requirements, or of one person of finance."""
    return Policy(requirements=requirements or (needs("finance"),), **rest)


def start(
    by: Who = "olivia",
    *,
    workflow: str = "travel",
    execution_id: UUID = EXECUTION,
    labels: dict[str, str] | tuple[Label, ...] = (),
    **rest: Any,
) -> Ask:
    pairs = (
        tuple(Label(name=name, value=value) for name, value in labels.items())
        if isinstance(labels, dict)
        else labels
    )
    return lambda _state: StartExecution(
        by=named(by), execution_id=execution_id, workflow=workflow, labels=pairs, **rest
    )


def claim(by: Who = "engine", worker: str = "worker-1", *, cleans_up: bool = False) -> Ask:
    return lambda _state: ClaimExecution(
        by=named(by), execution_id=EXECUTION, worker=worker, cleans_up=cleans_up
    )


def step(
    key: str = "book",
    by: Who = "engine",
    *,
    name: str | None = None,
    fence: int | None = CURRENT,
    **rest: Any,
) -> Ask:
    return lambda state: RecordStep(
        by=named(by),
        execution_id=EXECUTION,
        fence=_fence(state, fence),
        key=key,
        name=name or key,
        **rest,
    )


def request(
    key: str = "permit",
    by: Who = "engine",
    *,
    title: str = "Trip to Eindhoven",
    payload: Any = PAYLOAD,
    policy: Policy = policy(),  # noqa: B008 - a policy is immutable
    fence: int | None = CURRENT,
    **rest: Any,
) -> Ask:
    return lambda state: RequestApproval(
        by=named(by),
        execution_id=EXECUTION,
        fence=_fence(state, fence),
        key=key,
        title=title,
        payload=payload,
        policy=policy,
        **rest,
    )


def withdraw(
    ordinal: int = LATEST,
    by: Who = "engine",
    *,
    reason: str = "not needed",
    fence: int | None = CURRENT,
) -> Ask:
    return lambda state: WithdrawApproval(
        by=named(by),
        execution_id=EXECUTION,
        fence=_fence(state, fence),
        ordinal=_ordinal(state, ordinal),
        reason=reason,
    )


def grant(
    by: Who = "ann",
    ordinal: int = LATEST,
    *,
    digest: str | None = None,
    comment: str | None = None,
    **rest: Any,
) -> Ask:
    return _decide(Verdict.GRANTED, by, ordinal, digest, comment, **rest)


def reject(
    by: Who = "ann",
    ordinal: int = LATEST,
    *,
    digest: str | None = None,
    comment: str | None = "too dear",
    **rest: Any,
) -> Ask:
    return _decide(Verdict.REJECTED, by, ordinal, digest, comment, **rest)


def ask_changes(
    by: Who = "ann",
    ordinal: int = LATEST,
    *,
    digest: str | None = None,
    comment: str | None = "take the train",
    **rest: Any,
) -> Ask:
    return _decide(Verdict.CHANGES_REQUESTED, by, ordinal, digest, comment, **rest)


def retract(by: Who = "ann", ordinal: int = LATEST, *, comment: str | None = None) -> Ask:
    return lambda state: RetractDecision(
        by=named(by), execution_id=EXECUTION, ordinal=_ordinal(state, ordinal), comment=comment
    )


def delegate(to: str, by: Who = "ann", ordinal: int = LATEST, *, comment: str | None = None) -> Ask:
    return lambda state: DelegateApproval(
        by=named(by),
        execution_id=EXECUTION,
        ordinal=_ordinal(state, ordinal),
        to=to,
        comment=comment,
    )


def take_back(by: Who = "ann", ordinal: int = LATEST) -> Ask:
    return lambda state: TakeBackDelegation(
        by=named(by), execution_id=EXECUTION, ordinal=_ordinal(state, ordinal)
    )


def revoke(by: Who = "ann", ordinal: int = LATEST, *, reason: str = "the trip is off") -> Ask:
    return lambda state: RevokeApproval(
        by=named(by), execution_id=EXECUTION, ordinal=_ordinal(state, ordinal), reason=reason
    )


def comment(
    text: str = "which train?", by: Who = "ann", ordinal: int = LATEST, *, key: str | None = None
) -> Ask:
    return lambda state: CommentApproval(
        by=named(by), execution_id=EXECUTION, ordinal=_ordinal(state, ordinal), text=text, key=key
    )


def claim_approval(by: Who = "ann", ordinal: int = LATEST) -> Ask:
    return lambda state: ClaimApproval(
        by=named(by), execution_id=EXECUTION, ordinal=_ordinal(state, ordinal)
    )


def unclaim_approval(by: Who = "ann", ordinal: int = LATEST) -> Ask:
    return lambda state: UnclaimApproval(
        by=named(by), execution_id=EXECUTION, ordinal=_ordinal(state, ordinal)
    )


def act_on_deadline(by: Who = SERVICE, ordinal: int = LATEST) -> Ask:
    def command(state: Execution | None) -> Command:
        number = _ordinal(state, ordinal)
        approval = None if state is None else state.approvals.get(number)
        return ActOnDeadline(
            by=named(by),
            execution_id=EXECUTION,
            ordinal=number,
            deadline_version=0 if approval is None else approval.deadline_version,
        )

    return command


def redeem(
    ordinal: int = LATEST,
    by: Who = "engine",
    *,
    key: str = "booking",
    digest: str | None = None,
    fence: int | None = CURRENT,
) -> Ask:
    def command(state: Execution | None) -> Command:
        number = _ordinal(state, ordinal)
        approval = None if state is None else state.approvals.get(number)
        stands = "sha256:none" if approval is None else approval.payload_digest
        return RedeemApproval(
            by=named(by),
            execution_id=EXECUTION,
            fence=_fence(state, fence),
            ordinal=number,
            payload_digest=stands if digest is None else digest,
            redemption_key=key,
        )

    return command


def set_timer(
    key: str = "reminder",
    by: Who = "engine",
    *,
    delay: timedelta | None = HOUR,
    until: datetime | None = None,
    fence: int | None = CURRENT,
) -> Ask:
    return lambda state: SetTimer(
        by=named(by),
        execution_id=EXECUTION,
        fence=_fence(state, fence),
        key=key,
        delay=delay,
        until=until,
    )


def cancel_timer(key: str = "reminder", by: Who = "engine", *, fence: int | None = CURRENT) -> Ask:
    return lambda state: CancelTimer(
        by=named(by), execution_id=EXECUTION, fence=_fence(state, fence), key=key
    )


def fire_timer(key: str = "reminder", by: Who = SERVICE, *, set_version: int | None = None) -> Ask:
    return lambda _state: FireTimer(
        by=named(by), execution_id=EXECUTION, key=key, set_version=set_version
    )


def signal(
    name: str = "ticket", by: Who = "olivia", *, key: str = "delivery-1", payload: Any = None
) -> Ask:
    return lambda _state: SendSignal(
        by=named(by), execution_id=EXECUTION, name=name, key=key, payload=payload
    )


def start_child(
    key: str = "hotel",
    by: Who = "engine",
    *,
    workflow: str = "lodging",
    queue: str = "default",
    input: Any = None,  # noqa: A002 - the command's own word
    fence: int | None = CURRENT,
    on_parent_end: ParentEnd | None = None,
) -> Ask:
    return lambda state: StartChild(
        by=named(by),
        execution_id=EXECUTION,
        fence=_fence(state, fence),
        key=key,
        workflow=workflow,
        queue=queue,
        input=input,
        on_parent_end=on_parent_end,
    )


def end_child(
    key: str = "hotel",
    by: Who = SERVICE,
    *,
    round: int = 1,  # noqa: A002 - the command's own word
    outcome: ExecutionState = ExecutionState.COMPLETED,
    result: Any = None,
    error: str | None = None,
) -> Ask:
    return lambda _state: EndChild(
        by=named(by),
        execution_id=EXECUTION,
        key=key,
        round=round,
        outcome=outcome,
        result=result,
        error=error,
    )


def suspend(by: Who = "engine", *, seen: int = CURRENT, fence: int | None = CURRENT) -> Ask:
    def command(state: Execution | None) -> Command:
        woken = 0 if state is None else state.woken_version
        return SuspendExecution(
            by=named(by),
            execution_id=EXECUTION,
            fence=_fence(state, fence),
            seen=woken if seen == CURRENT else seen,
        )

    return command


def park(
    by: Who = "engine", *, reason: str = "another step came", fence: int | None = CURRENT
) -> Ask:
    return lambda state: ParkExecution(
        by=named(by), execution_id=EXECUTION, fence=_fence(state, fence), reason=reason
    )


def unpark(by: Who = "olivia") -> Ask:
    return lambda _state: UnparkExecution(by=named(by), execution_id=EXECUTION)


def complete(by: Who = "engine", *, result: Any = None, fence: int | None = CURRENT) -> Ask:
    return lambda state: CompleteExecution(
        by=named(by), execution_id=EXECUTION, fence=_fence(state, fence), result=result
    )


def fail(by: Who = "engine", *, error: str = "it broke", fence: int | None = CURRENT) -> Ask:
    return lambda state: FailExecution(
        by=named(by), execution_id=EXECUTION, fence=_fence(state, fence), error=error
    )


def cancel(by: Who = "olivia", *, reason: str = "no longer wanted") -> Ask:
    return lambda _state: CancelExecution(by=named(by), execution_id=EXECUTION, reason=reason)


def end_cancellation(by: Who = SERVICE, *, why: str = "the clean-up took too long") -> Ask:
    return lambda _state: EndCancellation(by=named(by), execution_id=EXECUTION, why=why)


def retry(by: Who = "olivia", *, expected_version: int = CURRENT) -> Ask:
    def command(state: Execution | None) -> Command:
        stands = 0 if state is None else state.version
        return RetryExecution(
            by=named(by),
            execution_id=EXECUTION,
            expected_version=stands if expected_version == CURRENT else expected_version,
        )

    return command


def _decide(
    verdict: Verdict, by: Who, ordinal: int, digest: str | None, comment: str | None, **rest: Any
) -> Ask:
    def command(state: Execution | None) -> Command:
        number = _ordinal(state, ordinal)
        approval = None if state is None else state.approvals.get(number)
        stands = "sha256:none" if approval is None else approval.digest
        return Decide(
            by=named(by),
            execution_id=EXECUTION,
            ordinal=number,
            verdict=verdict,
            digest=stands if digest is None else digest,
            comment=comment,
            **rest,
        )

    return command


def _fence(state: Execution | None, fence: int | None) -> int | None:
    if fence != CURRENT:
        return fence
    return None if state is None or state.fence == 0 else state.fence


def _ordinal(state: Execution | None, ordinal: int) -> int:
    if ordinal != LATEST:
        return ordinal
    return 1 if state is None else max(1, len(state.approvals))
