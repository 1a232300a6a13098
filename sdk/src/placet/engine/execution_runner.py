"""Runs one claimed execution: replays it, runs it on, puts it away, gives it back."""

import asyncio
import logging
from collections.abc import Collection, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from placet._util.texts import cleaned
from placet.client.transport.retry import retried
from placet.engine.fenced_sender import FencedSender
from placet.engine.history import Event, ExecutionHistory
from placet.engine.host import EventContent
from placet.engine.registry import UnknownWorkflowError
from placet.engine.run_tasks import RunTasks
from placet.engine.runner_backend import RunnerBackend
from placet.engine.workflow_instance import WorkflowInstance
from placet.errors import BadRequest, Internal, InvalidInput, LimitExceeded, Nondeterministic
from placet.models.commands import Command, FailExecution, ParkExecution
from placet.models.worker_responses import Claim, Noted

log = logging.getLogger("placet.engine")

REMIND_SECONDS = 60.0
_STARTED_AND_CLAIMED = 2


class Stage(Enum):
    """How far a runner is."""

    LOADING = auto()
    LIVE = auto()
    CATCHING_UP = auto()
    ENDING = auto()
    AWAY = auto()
    CLOSED = auto()


class ExecutionRunner:
    """Runs the workflow of one claimed execution, and is its host.

    The workflow's own loop only runs in callbacks of the outer loop, never inside one of its tasks.
    While the workflow waits there is no task for it.
    """

    def __init__(self, claim: Claim, backend: "RunnerBackend[ExecutionRunner]") -> None:
        self.execution = claim.execution
        self.fence = claim.fence
        self.stage = Stage.LOADING
        self._backend = backend
        self._outer = asyncio.get_running_loop()
        self._sender = FencedSender(claim.execution.id, backend.submit, self.abandon)
        self._tasks = RunTasks(self._task_done)
        # Steps with a clearance that were under way when the run was stopped.
        self._cleared: frozenset[asyncio.Task[None]] = frozenset()
        self._leaving: asyncio.Task[None] | None = None
        # Events that came before the history was read.
        self._early: list[Event] = []
        self._woken = claim.execution.woken_version
        self._seen = 0
        self._draining = False
        self._instance: WorkflowInstance | None = None
        if claim.execution.version <= _STARTED_AND_CLAIMED:
            # It was started and claimed and nothing else, so its history need not be read.
            self._outer.call_soon(self._begin, ExecutionHistory(version=claim.execution.version))
        else:
            self.spawn(self._load())

    @property
    def away(self) -> bool:
        """Whether the workflow's frames were dropped until something happens."""
        return self.stage is Stage.AWAY

    @property
    def arrived(self) -> int:
        """The version of the last wake-up that is known of."""
        return max(self._woken, 0 if self._instance is None else self._instance.event_order.arrived)

    @property
    def seen(self) -> int | None:
        """The version of the last wake-up that was dealt with; None while there is work left."""
        if self.stage is Stage.AWAY:
            return self._seen
        if self.stage is Stage.LIVE and self._instance is not None and self._instance.idle:
            return self._instance.event_order.woken
        return None

    @property
    def waits_for(self) -> str:
        """What the workflow waits for, as messages name it."""
        return "nothing" if self._instance is None else self._instance.describe_pending()

    @property
    def threads(self) -> Executor | None:
        """Where steps run that may block."""
        return self._backend.threads

    @property
    def tasks(self) -> frozenset["asyncio.Task[None]"]:
        """What is under way outside of the workflow."""
        return self._tasks.running

    def happened(self, event: Event) -> None:
        """Take an event for which the workflow may wait."""
        match self.stage:
            case Stage.LOADING | Stage.CATCHING_UP:
                self._early.append(event)
            case Stage.AWAY:
                self._wake_up()
            case Stage.LIVE if self._instance is not None:
                self._instance.event_order.wake(event)

    def claimed_again(self, claim: Claim) -> None:
        """Look for events that the connection missed while it was down."""
        self._woken = max(self._woken, claim.execution.woken_version)
        if self.stage is Stage.AWAY and self._woken > self._seen:
            self._wake_up()
        elif self.stage is Stage.LIVE:
            self._catch_up()

    def put_away(self) -> None:
        """Drop the workflow's frames. It is replayed when something happens."""
        if self.stage is Stage.LIVE and self._instance is not None and self._instance.idle:
            self._seen = self._instance.event_order.woken
            self.stage = Stage.AWAY
            self._instance.drop()
            self._instance = None

    def drain(self) -> None:
        """Begin nothing more. What is under way may end."""
        self._draining = True

    def abandon(self) -> None:
        """Stop at once, and record nothing more."""
        if self.stage is not Stage.CLOSED:
            self.stage = Stage.CLOSED
            self._sender.abandoned = True
            for task in self.tasks:
                task.cancel()
            instance, self._instance = self._instance, None
            if instance is not None:
                instance.close()
                self._outer.call_soon(instance.stop)
            self._backend.ended(self)

    def _wake_up(self) -> None:
        self.stage = Stage.LOADING
        self.spawn(self._load())

    async def _load(self) -> None:
        try:
            history = await retried(None, self._backend.load, self.execution.id)
        except Nondeterministic as error:
            self.park(str(error))
            return
        if history.state.final:
            self._over()
        else:
            self._outer.call_soon(self._begin, history)

    def _begin(self, history: ExecutionHistory) -> None:
        if self.stage is not Stage.LOADING:
            return
        try:
            self._instance = WorkflowInstance(
                self, self._backend.workflows, history, self._outer.call_soon
            )
            self._instance.replay(history)
        except (UnknownWorkflowError, Nondeterministic) as error:
            self.park(str(error))
            return
        except Exception as error:  # noqa: BLE001 - a bug here must not leave a run that hangs
            self.fault(error)
            return
        self.stage = Stage.LIVE
        early, self._early = self._early, []
        for event in early:
            self._instance.event_order.wake(event)
        self._instance.go_live()
        self._catch_up()

    def _catch_up(self) -> None:
        if (
            self.stage is Stage.LIVE
            and self._instance is not None
            and self._woken > self._instance.event_order.arrived
        ):
            self.stage = Stage.CATCHING_UP
            self.spawn(self._load_missed(self._instance))

    async def _load_missed(self, instance: WorkflowInstance) -> None:
        history = await retried(None, self._backend.load, self.execution.id)
        if history.state.final:
            self.abandon()
        elif self.stage is Stage.CATCHING_UP:
            early, self._early = self._early, []
            for event in history.wakes(instance.event_order.arrived):
                instance.event_order.wake(event)
            instance.event_order.caught_up(history.woken)
            for event in early:
                instance.event_order.wake(event)
            self.stage = Stage.LIVE
            # More may have happened meanwhile.
            self._catch_up()

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do something outside of the workflow. An exception that it raises ends the run here."""
        if self.stage is Stage.CLOSED:
            work.close()
            msg = f"execution {self.execution.id} is no longer held by this worker"
            raise asyncio.CancelledError(msg)
        return self._tasks.spawn(work)

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Nondeterministic) and self.stage is not Stage.ENDING:
            self.park(str(error))
        elif error is not None and self._leaving not in {None, task}:
            # It is about to be parked or given back, and a step with a clearance may be under way.
            what = "a step with a clearance" if task in self._cleared else "a task"
            log.error(
                "execution %s: the outcome of %s is not recorded",
                self.execution.id,
                what,
                exc_info=error,
            )
        elif error is not None:
            self.fault(error)
        elif self._instance is not None:
            self._instance.settle()

    async def send(self, command: Command, content: EventContent | None = None) -> Noted:
        """Send a command of the run, and deliver the event that it records to the workflow.

        Raises Refused and RequestError, and CancelledError once the execution is no longer held.
        """
        instance = self._instance
        if instance is None:
            raise asyncio.CancelledError
        event, woken = None, 0
        instance.event_order.sent()
        try:
            accepted = await self._sender.send(command)
            head = accepted.execution
            if head is None:
                msg = f"the service did not return the state of execution {self.execution.id}"
                raise Internal(msg)
            woken = head.woken_version
            if content is not None:
                type_, data = content
                # For a repeat, the head is of a later moment. A replay has the time of the event.
                event = Event(head.version, int(accepted.position), type_, accepted.at, data)
            return accepted
        finally:
            instance.event_order.answered(event, woken)
            if woken > instance.event_order.arrived and not self._backend.streaming:
                # Only this answer says that something has happened.
                self._woken = max(self._woken, woken)
                self._catch_up()

    def fault(self, error: BaseException) -> None:
        """Return the execution back after an error that is not the workflow's."""
        if self.stage is Stage.CLOSED:
            return
        log.error(
            "execution %s can't go on here and is given back", self.execution.id, exc_info=error
        )
        if self.stage is not Stage.ENDING:
            self._wind_up()
            if self._cleared:
                self._leaving = self.spawn(self._give_back())
                return
        self._leave()
        self._backend.give_back(self, parked=False)

    async def _give_back(self) -> None:
        await self._all_cleared()
        self._leave()
        self._backend.give_back(self, parked=False)

    def park(self, reason: str) -> None:
        """Keep every worker from the execution until a person has looked at it."""
        if self.stage is Stage.CLOSED:
            return
        self._wind_up()
        when = ", once its steps with a clearance have ended" if self._cleared else ""
        log.error("execution %s is parked%s: %s", self.execution.id, when, reason)
        self._leaving = self.spawn(self._park(reason))

    async def _park(self, reason: str) -> None:
        await self._all_cleared()
        command = ParkExecution(
            execution_id=self.execution.id, fence=self.fence, reason=cleaned(reason)
        )
        await self._sender.send(command)
        self._leave()
        self._backend.give_back(self, parked=True)

    def _wind_up(self) -> None:
        """Stop the workflow and its tasks, except for steps with a clearance.

        Such a step is begun only once, so it would end in doubt if it were cut short. Tasks that
        record an answer of ``run.patched`` go on too: a step may have been begun by that answer.
        """
        self.stage = Stage.ENDING
        self._draining = True
        kept: frozenset[asyncio.Task[None]] = frozenset()
        if self._instance is not None:
            self._cleared = self._instance.cleared
            kept = self._cleared | self._instance.marking
            self._instance.drop()
        self._tasks.cancel(but=kept)

    async def _all_cleared(self) -> None:
        """Wait until the steps with a clearance have ended, each within its own timeout."""
        pending: Collection[asyncio.Task[None]] = self._cleared
        while pending:
            _, pending = await asyncio.wait(pending, timeout=REMIND_SECONDS)
            if pending:
                log.warning(
                    "execution %s can't go on here, and waits for a step with a clearance to end;"
                    " timeout= limits such a step, and a person can cancel the execution",
                    self.execution.id,
                )

    def _leave(self) -> None:
        self.stage = Stage.CLOSED
        self._sender.abandoned = True
        self._tasks.cancel()
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.drop()

    def finish(self, command: Command) -> None:
        """Record how the workflow ended."""
        self.stage = Stage.ENDING
        self.spawn(self._finish(command))

    async def _finish(self, command: Command) -> None:
        # What the workflow no longer waits for is taken back first. The end must come after it.
        await self._tasks.others()
        try:
            await self._sender.send(command)
        except (LimitExceeded, BadRequest, InvalidInput) as error:
            text = cleaned(f"the workflow's result can't be recorded: {error}")
            fail = FailExecution(execution_id=self.execution.id, fence=self.fence, error=text)
            await self._sender.send(fail)
        self._over()

    def _over(self) -> None:
        self._leave()
        self._backend.ended(self)

    async def sleep(self, seconds: float) -> None:
        """Pause between two attempts of a step."""
        await self._backend.sleep(seconds)

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self._backend.now.astimezone(UTC)

    def draining(self) -> bool:
        """Whether nothing more may be begun."""
        return self._draining

    def idle(self) -> None:
        """Note that the workflow waits for events only."""
        self._backend.idle(self)
