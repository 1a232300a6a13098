"""The record of one execution in memory, kept by the rules of the service."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from copy import deepcopy
from datetime import datetime, timedelta
from inspect import isawaitable
from typing import Any, NamedTuple, NoReturn

import msgspec

from placet._util.canonical_json import digest
from placet.engine.execution_runner import ExecutionRunner
from placet.engine.history import WAKES, Event, ExecutionHistory, arranged
from placet.engine.registry import WorkflowRegistry
from placet.errors import REFUSALS, NotEligible
from placet.models.commands import (
    CancelTimer,
    Command,
    CompleteExecution,
    FailExecution,
    ParkExecution,
    RecordStep,
    RedeemApproval,
    RequestApproval,
    SetTimer,
    StartChild,
    SuspendExecution,
    WithdrawApproval,
)
from placet.models.enums import (
    ApprovalStatus,
    ExecutionState,
    ExpiryAction,
    ResolutionCause,
    Verdict,
)
from placet.models.responses import (
    Actor,
    ApprovalName,
    ApprovalPolicy,
    ApprovalRecord,
    Decision,
    Execution,
    ExecutionHead,
    Noted,
    Past,
    Requirement,
    Transcript,
)

FIRST_VERSION = 3
"""After Started and Claimed."""


class _Answer(NamedTuple):
    repeated: bool = False
    approval: ApprovalRecord | None = None


_Carried = _Answer | None | Coroutine[Any, Any, _Answer | None]


class InMemoryService:
    """The service of one execution, for its driver. ``now`` is the time that events get."""

    threads: Executor | None = None
    streaming = True

    def __init__(
        self,
        execution: Execution,
        workflows: WorkflowRegistry,
        now: datetime,
        children: Mapping[str, Callable[[Any], Any]],
    ) -> None:
        self.workflows = workflows
        self.now = now
        self.events: list[Past] = []
        self.running = True
        self.result: Any = None
        self.error: str | None = None
        self.runner: ExecutionRunner | None = None
        self._execution = execution
        self._children = children
        self._approvals: list[ApprovalRecord] = []
        self._redeemed: dict[str, str] = {}
        self._timers: dict[str, datetime] = {}
        self._signals = 0
        self._woken = 0
        self._resting = asyncio.Event()
        self._commands: dict[type[Command], Callable[[Any], _Carried]] = {
            RecordStep: self._step,
            RequestApproval: self._request,
            WithdrawApproval: self._withdraw,
            RedeemApproval: self._redeem,
            SetTimer: self._set_timer,
            CancelTimer: self._cancel_timer,
            StartChild: self._start_child,
            SuspendExecution: self._suspend,
            ParkExecution: self._park,
            CompleteExecution: self._complete,
            FailExecution: self._fail,
        }

    async def resting(self) -> None:
        """Wait until the workflow waits for the test, or has ended."""
        await self._resting.wait()

    def pending(self) -> list[ApprovalRecord]:
        """Give the approvals that are not resolved."""
        return [a for a in self._approvals if a.status is ApprovalStatus.PENDING]

    async def load(self, execution_id: str) -> ExecutionHistory:
        """Give the record."""
        del execution_id
        return arranged(self.transcript())

    def transcript(self) -> Transcript:
        """Give what a replay needs."""
        execution = msgspec.structs.replace(
            self._execution,
            version=self._version,
            state=self._state(),
            result=self.result,
            error=self.error,
        )
        found = Transcript(execution=execution, events=self.events, approvals=self._approvals)
        # A replay hands the content out to the workflow, which may change it.
        return deepcopy(found)

    def _state(self) -> ExecutionState:
        ends = {"Completed": ExecutionState.COMPLETED, "Failed": ExecutionState.FAILED}
        if self.events and self.events[-1].type in ends:
            return ends[self.events[-1].type]
        return ExecutionState.WAITING_APPROVAL if self.pending() else ExecutionState.RUNNING

    async def sleep(self, seconds: float) -> None:
        """Skip the pause between two attempts."""
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def idle(self, runner: ExecutionRunner) -> None:
        """Take note that the workflow waits."""
        del runner
        self._resting.set()

    def ended(self, runner: ExecutionRunner) -> None:
        """Take note that it is over."""
        del runner
        self.running = False
        self._resting.set()

    def give_back(self, runner: ExecutionRunner, *, parked: bool) -> None:
        """Take note that it can't go on."""
        self.running = False
        if not parked and self.error is None:
            self.error = "a fault outside of the workflow; see the log"
        self._resting.set()
        del runner

    async def submit(self, command: Command) -> Noted:
        """Carry a command out. Raises Refused."""
        await asyncio.sleep(0)
        carry_out = self._commands.get(type(command))
        if carry_out is None:
            msg = f"a trial knows no {type(command).__name__}"
            raise NotImplementedError(msg)
        carried = carry_out(command)
        answer = (await carried if isinstance(carried, Coroutine) else carried) or _Answer()
        return Noted(
            position=str(self._version),
            at=self.now,
            repeated=answer.repeated,
            execution=self._head(),
            approval=None if answer.approval is None else ApprovalName(id=answer.approval.id),
        )

    def decide(
        self, approval: ApprovalRecord, by: str, comment: str | None, *, granted: bool
    ) -> None:
        """Resolve an approval by a decision. Raises AlreadyDecided, and NotEligible (four eyes)."""
        if by == approval.initiator.id and not approval.policy.allow_initiator:
            raise NotEligible("NOT_ELIGIBLE", f"{by} started the execution, so another must decide")
        decision = Decision(
            verdict=Verdict.GRANTED if granted else Verdict.REJECTED,
            by=Actor(id=by),
            at=self.now,
            comment=comment,
            digest=approval.digest,
            rule="trial",
        )
        self._resolve(
            self._standing(approval),
            ApprovalStatus.GRANTED if granted else ApprovalStatus.REJECTED,
            ResolutionCause.DECISIONS,
            decisions=[*approval.decisions, decision],
        )

    def expire(self, approval: ApprovalRecord) -> None:
        """Resolve an approval by its deadline."""
        self._resolve(self._standing(approval), ApprovalStatus.EXPIRED, ResolutionCause.EXPIRY)

    def signal(self, name: str, payload: Any) -> None:
        """Hand data to the workflow."""
        self._signals += 1
        self._append("SignalReceived", key=f"signal-{self._signals}", name=name, payload=payload)

    def fire_next(self, until: datetime | None) -> bool:
        """Let the next timer fire, up to a moment, and say whether there was one."""
        key, fires_at = min(self._timers.items(), key=lambda t: t[1], default=(None, None))
        if key is None or fires_at is None or (until is not None and fires_at > until):
            return False
        del self._timers[key]
        self.now = max(self.now, fires_at)
        self._append("TimerFired", key=key)
        return True

    @property
    def _version(self) -> int:
        return FIRST_VERSION - 1 + len(self.events)

    def _append(self, type_: str, approval: ApprovalRecord | None = None, **data: Any) -> None:
        version = self._version + 1
        # What the workflow holds it may change, and the record must stay as it was.
        kept = deepcopy(data)
        past = Past(position=str(version), version=version, type=type_, at=self.now, data=kept)
        self.events.append(past)
        if type_ in WAKES:
            self._woken = version
            self._resting.clear()
            assert self.runner is not None
            given = Event(version, version, type_, self.now, deepcopy(data), deepcopy(approval))
            self.runner.happened(given)

    def _head(self) -> ExecutionHead:
        return ExecutionHead(
            id=self._execution.id,
            workflow=self._execution.workflow,
            state=self._state(),
            version=self._version,
            fence=1,
            updated_at=self.now,
            woken_version=self._woken,
        )

    def _step(self, command: RecordStep) -> None:
        data: dict[str, Any] = {
            "key": command.key, "name": command.name, "attempt": command.attempt,
        }  # fmt: skip
        if command.error is not None:
            self._append("StepFailed", **data, error=command.error)
        else:
            self._append("StepCompleted", **data, result=command.result)

    def _request(self, command: RequestApproval) -> _Answer:
        requirements = [
            Requirement(count=each.count, groups=list(each.groups), users=list(each.users))
            for each in command.policy.requirements
        ]
        document = {
            "title": command.title,
            "description": command.description,
            "payload": command.payload,
        }
        approval = ApprovalRecord(
            id=f"{self._execution.id}.{len(self._approvals) + 1}",
            execution_id=self._execution.id,
            workflow=self._execution.workflow,
            initiator=self._execution.initiator,
            key=command.key,
            round=1,
            title=command.title,
            description=command.description,
            payload=command.payload,
            payload_digest=digest(command.payload),
            document=document,
            digest=digest(document),
            erased=False,
            policy=ApprovalPolicy(
                requirements=requirements,
                rejections=command.policy.rejections_needed,
                allow_initiator=command.policy.initiator_allowed,
                on_expiry=ExpiryAction.REJECT,
                escalate_to=[],
            ),
            status=ApprovalStatus.PENDING,
            decisions=[],
            outstanding=requirements,
            requested_at=self.now,
        )
        self._approvals.append(approval)
        self._append(
            "ApprovalRequested",
            key=command.key,
            ordinal=len(self._approvals),
            round=1,
            policy=msgspec.to_builtins(command.policy),
        )
        return _Answer(approval=approval)

    def _standing(self, approval: ApprovalRecord) -> ApprovalRecord:
        standing = next((a for a in self._approvals if a.id == approval.id), None)
        if standing is None:
            msg = f"approval {approval.key!r} is not one of this trial"
            raise LookupError(msg)
        if standing.status is not ApprovalStatus.PENDING:
            _refuse("ALREADY_DECIDED", f"approval {approval.key!r} is {standing.status}")
        return standing

    def _resolve(
        self,
        approval: ApprovalRecord,
        status: ApprovalStatus,
        cause: ResolutionCause,
        **changes: Any,
    ) -> None:
        resolved = msgspec.structs.replace(
            approval,
            status=status,
            resolution=cause,
            resolved_at=self.now,
            outstanding=[],
            **changes,
        )
        index = self._approvals.index(approval)
        self._approvals[index] = resolved
        self._append(f"Approval{status.title()}", resolved, ordinal=index + 1)

    def _withdraw(self, command: WithdrawApproval) -> None:
        approval = next(a for a in self._approvals if a.id == command.approval_id)
        if approval.status is not ApprovalStatus.PENDING:
            _refuse("ALREADY_DECIDED", f"approval {approval.key!r} is {approval.status}")
        self._resolve(approval, ApprovalStatus.WITHDRAWN, ResolutionCause.WITHDRAWAL)

    def _redeem(self, command: RedeemApproval) -> _Answer:
        approval = next(a for a in self._approvals if a.id == command.approval_id)
        if approval.status is not ApprovalStatus.GRANTED:
            _refuse("INVALID_TRANSITION", f"approval {approval.key!r} is {approval.status}")
        if command.payload_digest != approval.payload_digest:
            _refuse("DIGEST_MISMATCH", "the payload in hand is not what was granted")
        used = self._redeemed.get(approval.id)
        if used is not None and used != command.redemption_key:
            _refuse("ALREADY_REDEEMED", f"it was redeemed under the key {used!r}")
        if used is None:
            self._redeemed[approval.id] = command.redemption_key
            ordinal = self._approvals.index(approval) + 1
            self._append("ApprovalRedeemed", ordinal=ordinal, redemptionKey=command.redemption_key)
        return _Answer(repeated=used is not None)

    def _set_timer(self, command: SetTimer) -> None:
        if command.until is not None:
            fires_at = command.until
        else:
            fires_at = self.now + msgspec.convert(command.delay, timedelta)
        self._timers[command.key] = fires_at
        self._append("TimerSet", key=command.key)

    async def _start_child(self, command: StartChild) -> None:
        self._append(
            "ChildStarted",
            key=command.key,
            round=1,
            workflow=command.workflow,
            workflowVersion=command.workflow_version,
            queue=command.queue,
            input=command.input,
        )
        child = self._children.get(command.workflow)
        if child is None:
            self.error = f"the trial has no child {command.workflow!r}: give it by children="
            msg = self.error
            raise NotImplementedError(msg)
        outcome, result, error = ExecutionState.COMPLETED, None, None
        try:
            given = child(command.input)
            result = await given if isawaitable(given) else given
        except Exception as raised:  # noqa: BLE001 - a child that fails is a case to test
            outcome, error = ExecutionState.FAILED, f"{type(raised).__name__}: {raised}"
        self._append(
            "ChildEnded", key=command.key, round=1, outcome=outcome, result=result, error=error
        )

    def _cancel_timer(self, command: CancelTimer) -> None:
        if self._timers.pop(command.key, None) is not None:
            self._append("TimerCancelled", key=command.key)

    def _suspend(self, command: SuspendExecution) -> None:
        if command.seen != self._woken:
            _refuse("VERSION_CONFLICT", "something came meanwhile")
        self._append("Suspended")

    def _park(self, command: ParkExecution) -> None:
        self.error = f"parked: {command.reason}"
        self._append("Parked", reason=command.reason)

    def _complete(self, command: CompleteExecution) -> None:
        if pending := self.pending():
            keys = ", ".join(approval.key for approval in pending)
            _refuse("INVALID_TRANSITION", f"approvals are pending: {keys}")
        self.result = command.result
        self._append("Completed", result=command.result)

    def _fail(self, command: FailExecution) -> None:
        self.error = command.error
        self._append("Failed", error=command.error)


def _refuse(code: str, message: str) -> NoReturn:
    raise REFUSALS[code](code, message)
