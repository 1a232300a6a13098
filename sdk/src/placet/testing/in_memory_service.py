"""The service of one execution in memory, which keeps the rules of the real one."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, nullcontext
from copy import deepcopy
from datetime import datetime, timedelta
from inspect import isawaitable
from typing import Any, NamedTuple

import msgspec

from placet._util.invoke import described
from placet._util.serde import plain
from placet._util.service_rules import json_problem
from placet.engine.child_access import ChildAccess
from placet.engine.execution_runner import ExecutionRunner
from placet.engine.history import Event, ExecutionHistory, arranged
from placet.engine.lost_workers import SuspectTurns
from placet.engine.registry import WorkflowRegistry
from placet.models.commands import (
    CancelTimer,
    Command,
    CompleteExecution,
    FailExecution,
    ParkExecution,
    RecordStep,
    RedeemApproval,
    RequestApproval,
    SendSignal,
    SetTimer,
    StartChild,
    SuspendExecution,
    WithdrawApproval,
)
from placet.models.enums import ApprovalStatus, ExecutionState
from placet.models.responses import Execution, ExecutionHead
from placet.models.worker_responses import ApprovalName, Noted, Transcript
from placet.testing.in_memory_approvals import Calendar, InMemoryApprovals
from placet.testing.in_memory_children import EndedChildren, child_id_of
from placet.testing.in_memory_decisions import InMemoryDecisions
from placet.testing.in_memory_discussion import InMemoryDiscussion
from placet.testing.in_memory_grants import InMemoryGrants
from placet.testing.in_memory_log import InMemoryLog, refuse
from placet.testing.in_memory_rules import check


class _Outcome(NamedTuple):
    repeated: bool = False
    approval_id: str | None = None


_Carried = _Outcome | None | Coroutine[Any, Any, _Outcome | None]


class InMemoryService:
    """The backend of the runner of one execution. ``error`` is why it failed or can't go on."""

    threads: Executor | None = None
    streaming = True
    children: ChildAccess = EndedChildren()

    def __init__(
        self,
        execution: Execution,
        workflows: WorkflowRegistry,
        now: datetime,
        children: Mapping[str, Callable[[Any], Any]],
        calendars: Mapping[str, Calendar],
    ) -> None:
        self.workflows = workflows
        self.engine = self
        self.turns = SuspectTurns()
        self.log = InMemoryLog(now, self._happened)
        self.approvals = InMemoryApprovals(execution, self.log, calendars)
        self.decisions = InMemoryDecisions(self.approvals)
        self.discussion = InMemoryDiscussion(self.approvals)
        self.grants = InMemoryGrants(self.decisions)
        self.running = True
        self.result: Any = None
        self.error: str | None = None
        self.runner: ExecutionRunner | None = None
        self._execution = execution
        self._children = children
        self._timers: dict[str, datetime] = {}
        self._signals = 0
        self._resting = asyncio.Event()
        self._commands: dict[type[Command], Callable[[Any], _Carried]] = {
            RecordStep: self._record_step,
            RequestApproval: self._request_approval,
            WithdrawApproval: self._withdraw_approval,
            RedeemApproval: self._redeem_approval,
            SetTimer: self._set_timer,
            CancelTimer: self._cancel_timer,
            StartChild: self._start_child,
            SuspendExecution: self._suspend,
            ParkExecution: self._park,
            CompleteExecution: self._complete,
            FailExecution: self._fail,
        }

    @property
    def now(self) -> datetime:
        """The time that events get."""
        return self.log.now

    async def resting(self) -> None:
        """Wait until the workflow waits for the test, or has ended."""
        await self._resting.wait()

    async def load(self, execution_id: str) -> ExecutionHistory:
        """Return the history."""
        del execution_id
        return arranged(self.transcript())

    def transcript(self) -> Transcript:
        """Return what a replay needs."""
        execution = msgspec.structs.replace(
            self._execution,
            version=self.log.version,
            state=self._state(),
            result=self.result,
            error=self.error,
        )
        events, approvals = self.log.events, self.approvals.all
        # A replay gives the content to the workflow, which may change it.
        return deepcopy(Transcript(execution=execution, events=events, approvals=approvals))

    def _state(self) -> ExecutionState:
        if self.log.end is not None:
            return self.log.end
        waiting = bool(self.approvals.pending())
        return ExecutionState.WAITING_APPROVAL if waiting else ExecutionState.RUNNING

    def address_of(self, approval_id: str) -> str:
        """Return an address that leads nowhere."""
        return f"http://placet.test/approvals/{approval_id}"

    async def status_of(self, approval_id: str) -> ApprovalStatus | None:
        """Return the present status of an approval."""
        return self.approvals.find(approval_id).status

    def place(self, *, in_thread: bool) -> AbstractAsyncContextManager[Any]:
        """Return a place at once."""
        del in_thread
        return nullcontext()

    async def sleep(self, seconds: float) -> None:
        """Skip the pause between two attempts."""
        self.log.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def idle(self, runner: ExecutionRunner) -> None:
        """Note that the workflow waits."""
        del runner
        self._resting.set()

    def ended(self, runner: ExecutionRunner) -> None:
        """Note that the execution is over."""
        del runner
        self.running = False
        self._resting.set()

    def give_back(self, runner: ExecutionRunner, *, parked: bool, at_once: bool = False) -> None:
        """Note that the execution can't go on."""
        del runner, at_once
        self.running = False
        if not parked and self.error is None:
            self.error = "a fault outside of the workflow; the log says more"
        self._resting.set()

    def _happened(self, event: Event) -> None:
        self._resting.clear()
        assert self.runner is not None
        self.runner.happened(event)

    async def submit(self, command: Command, execution_id: str) -> Noted:
        """Carry a command out. Raises Refused."""
        del execution_id
        check(command)
        await asyncio.sleep(0)
        carry_out = self._commands.get(type(command))
        if carry_out is None:
            msg = f"a trial can't carry out {type(command).__name__}"
            raise NotImplementedError(msg)
        carried = carry_out(command)
        outcome = (await carried if isinstance(carried, Coroutine) else carried) or _Outcome()
        approval = None if outcome.approval_id is None else ApprovalName(id=outcome.approval_id)
        return Noted(
            position=str(self.log.version),
            at=self.now,
            repeated=outcome.repeated,
            execution=self._head(),
            approval=approval,
        )

    def signal(self, name: str, payload: Any) -> None:
        """Send a signal to the workflow."""
        key = f"signal-{self._signals + 1}"
        check(SendSignal(execution_id=self._execution.id, name=name, key=key, payload=payload))
        self._signals += 1
        self.log.append("SignalReceived", key=key, name=name, payload=payload)

    def fire_next(self, until: datetime | None) -> bool:
        """Let the next timer fire or the next deadline pass, up to a moment.

        Returns whether there was one.
        """
        key, fires_at = min(self._timers.items(), key=lambda t: t[1], default=(None, None))
        due = min((a.deadline for a in self.approvals.pending() if a.deadline), default=None)
        moment = min((at for at in (fires_at, due) if at is not None), default=None)
        if moment is None or (until is not None and moment > until):
            return False
        self.skip_to(moment)
        if moment == due:
            self.approvals.act_on_deadlines()
            return True
        assert key is not None
        del self._timers[key]
        self.log.append("TimerFired", key=key)
        return True

    def skip_to(self, moment: datetime) -> None:
        """Let time pass up to a moment, unless it has passed already."""
        self.log.now = max(self.log.now, moment)

    def _head(self) -> ExecutionHead:
        return ExecutionHead(
            id=self._execution.id,
            workflow=self._execution.workflow,
            state=self._state(),
            version=self.log.version,
            fence=1,
            updated_at=self.now,
            woken_version=self.log.woken,
        )

    def _record_step(self, command: RecordStep) -> None:
        data: dict[str, Any] = {
            "key": command.key,
            "name": command.name,
            "attempt": command.attempt,
        }
        if command.arguments_digest is not None:
            data["argumentsDigest"] = command.arguments_digest
        if command.error is not None:
            self.log.append("StepFailed", **data, error=command.error)
        else:
            self.log.append("StepCompleted", **data, result=command.result)

    def _request_approval(self, command: RequestApproval) -> _Outcome:
        approval, repeated = self.approvals.request(command)
        if not repeated:
            self.grants.decide(approval, self.now)
        return _Outcome(repeated=repeated, approval_id=approval.id)

    def _withdraw_approval(self, command: WithdrawApproval) -> None:
        self.approvals.withdraw(command)

    def _redeem_approval(self, command: RedeemApproval) -> _Outcome:
        return _Outcome(repeated=self.approvals.redeem(command))

    def _set_timer(self, command: SetTimer) -> None:
        if command.until is not None:
            fires_at = command.until
        else:
            fires_at = self.now + msgspec.convert(command.delay, timedelta)
        self._timers[command.key] = fires_at
        self.log.append("TimerSet", key=command.key)

    def _cancel_timer(self, command: CancelTimer) -> None:
        if self._timers.pop(command.key, None) is not None:
            self.log.append("TimerCancelled", key=command.key)

    async def _start_child(self, command: StartChild) -> None:
        self.log.append(
            "ChildStarted",
            key=command.key,
            round=1,
            workflow=command.workflow,
            workflowVersion=command.workflow_version,
            queue=command.queue,
            input=command.input,
            childId=child_id_of(self._execution.id, command.key),
            onParentEnd=command.on_parent_end,
        )
        child = self._children.get(command.workflow)
        if child is None:
            self.error = f"the trial has no child {command.workflow!r}: give it by children="
            msg = self.error
            raise NotImplementedError(msg)
        outcome, result, error = ExecutionState.COMPLETED, None, None
        try:
            given = child(command.input)
            result = plain(await given if isawaitable(given) else given, "the child's result")
            if problem := json_problem(result, "result"):
                # So a child ends whose result the service refuses.
                msg = f"the workflow's result can't be recorded: INVALID_INPUT: {problem}"
                outcome, result, error = ExecutionState.FAILED, None, msg
        except Exception as raised:  # noqa: BLE001 - a child that fails is a case to test
            outcome, error = ExecutionState.FAILED, described(raised)
        self.log.append(
            "ChildEnded", key=command.key, round=1, outcome=outcome, result=result, error=error
        )

    def _suspend(self, command: SuspendExecution) -> None:
        if command.seen != self.log.woken:
            refuse("VERSION_CONFLICT", "something happened meanwhile")
        self.log.append("Suspended")

    def _park(self, command: ParkExecution) -> None:
        self.error = f"parked: {command.reason}"
        self.log.append("Parked", reason=command.reason)

    def _complete(self, command: CompleteExecution) -> None:
        if pending := self.approvals.pending():
            keys = ", ".join(approval.key for approval in pending)
            refuse("INVALID_TRANSITION", f"approvals are pending: {keys}")
        self.result = command.result
        self.log.append("Completed", result=command.result)

    def _fail(self, command: FailExecution) -> None:
        self.error = command.error
        self.log.append("Failed", error=command.error)
