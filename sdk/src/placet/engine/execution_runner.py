"""One claimed execution: replayed along its record, then run on, put away, or given back."""

import asyncio
import logging
from collections.abc import Collection, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Protocol

from placet.client.transport.retry import retried
from placet.engine.fenced_sender import FencedSender, Submit
from placet.engine.history import Event, ExecutionHistory
from placet.engine.host import Told
from placet.engine.registry import UnknownWorkflowError, WorkflowRegistry
from placet.engine.workflow_instance import WorkflowInstance
from placet.errors import BadRequest, Internal, InvalidInput, LimitExceeded, Nondeterministic
from placet.models.commands import Command, FailExecution, ParkExecution
from placet.models.responses import Claim, Noted

log = logging.getLogger("placet.engine")

MAX_REASON = 10_000
REMIND_SECONDS = 60.0
_STARTED_AND_CLAIMED = 2


class Service(Protocol):
    """What a driver needs of the service, and whom it tells how it stands."""

    @property
    def told(self) -> bool:
        """Whether the stream tells of what the workflow waits for."""

    @property
    def workflows(self) -> WorkflowRegistry:
        """The workflows that are known."""

    @property
    def submit(self) -> Submit:
        """Send a command. Raises Refused and RequestError."""

    @property
    def threads(self) -> Executor | None:
        """Where steps that may block are done."""

    @property
    def now(self) -> datetime:
        """The time."""

    async def load(self, execution_id: str) -> ExecutionHistory:
        """Read an execution's record."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass between two attempts of a step."""

    def idle(self, runner: "ExecutionRunner") -> None:
        """Take note that it waits for nothing but the stream."""

    def ended(self, runner: "ExecutionRunner") -> None:
        """Take note that there is nothing more to do."""

    def spare(self, runner: "ExecutionRunner", *, parked: bool) -> None:
        """Take an execution back that can't go on here: parked, or because of a fault."""


class Stage(Enum):
    """How far a driver is."""

    LOADING = auto()
    LIVE = auto()
    CATCHING_UP = auto()
    ENDING = auto()
    AWAY = auto()
    CLOSED = auto()


class ExecutionRunner:
    """Runs the workflow of one claimed execution.

    The workflow's own loop is only ever run from callbacks of the outer loop, never from inside one
    of its tasks. While it waits there is no task, only what it waits for.
    """

    def __init__(self, claim: Claim, service: Service) -> None:
        self.execution = claim.execution
        self.fence = claim.fence
        self.stage = Stage.LOADING
        self._service = service
        self._outer = asyncio.get_running_loop()
        self._sender = FencedSender(claim.execution.id, service.submit, self.abandon)
        self._tasks: set[asyncio.Task[None]] = set()
        self._cleared: frozenset[asyncio.Task[None]] = frozenset()
        self._parting: asyncio.Task[None] | None = None
        self._early: list[Event] = []
        self._told = claim.execution.woken_version
        self._seen = 0
        self._draining = False
        self._instance: WorkflowInstance | None = None
        if claim.execution.version <= _STARTED_AND_CLAIMED:
            # Nothing but that it was started and claimed: a record need not be read.
            self._outer.call_soon(self._begin, ExecutionHistory(version=claim.execution.version))
        else:
            self.spawn(self._load())

    @property
    def away(self) -> bool:
        """Whether the workflow's frames were dropped until something comes."""
        return self.stage is Stage.AWAY

    @property
    def arrived(self) -> int:
        """The version of the last wake-up that is known of."""
        return max(self._told, self._instance.sequence.arrived if self._instance is not None else 0)

    @property
    def seen(self) -> int | None:
        """The version of the last wake-up that was dealt with; None while there is work left."""
        if self.stage is Stage.AWAY:
            return self._seen
        if self.stage is Stage.LIVE and self._instance is not None and self._instance.idle:
            return self._instance.sequence.woken
        return None

    @property
    def asked(self) -> str:
        """What the workflow waits for, as messages name it."""
        return "nothing" if self._instance is None else self._instance.asked()

    @property
    def threads(self) -> Executor | None:
        """Where steps that may block are done."""
        return self._service.threads

    @property
    def tasks(self) -> frozenset["asyncio.Task[None]"]:
        """What is under way outside of the workflow."""
        return frozenset(self._tasks)

    def happened(self, event: Event) -> None:
        """Take in what the workflow may wait for."""
        match self.stage:
            case Stage.LOADING | Stage.CATCHING_UP:
                self._early.append(event)
            case Stage.AWAY:
                self._wake_up()
            case Stage.LIVE if self._instance is not None:
                self._instance.sequence.wake(event)

    def claimed_again(self, claim: Claim) -> None:
        """Look for what may have come while the connection was away."""
        self._told = max(self._told, claim.execution.woken_version)
        if self.stage is Stage.AWAY and self._told > self._seen:
            self._wake_up()
        elif self.stage is Stage.LIVE:
            self._catch_up()

    def put_away(self) -> None:
        """Forget the workflow's frames; it is replayed when something comes."""
        if self.stage is Stage.LIVE and self._instance is not None and self._instance.idle:
            self._seen = self._instance.sequence.woken
            self.stage = Stage.AWAY
            self._instance.drop()
            self._instance = None

    def drain(self) -> None:
        """Begin nothing more; what is under way may end."""
        self._draining = True

    def abandon(self) -> None:
        """Stop at once, and record nothing more."""
        if self.stage is not Stage.CLOSED:
            self._close()
            instance, self._instance = self._instance, None
            if instance is not None:
                instance.close()
                self._outer.call_soon(instance.stop)
            self._service.ended(self)

    def _close(self) -> None:
        self.stage = Stage.CLOSED
        self._sender.abandoned = True
        for task in tuple(self._tasks):
            task.cancel()

    def _wake_up(self) -> None:
        self.stage = Stage.LOADING
        self.spawn(self._load())

    async def _load(self) -> None:
        try:
            record = await retried(None, self._service.load, self.execution.id)
        except Nondeterministic as error:
            self.park(str(error))
            return
        if record.state.final:
            self._over()
        else:
            self._outer.call_soon(self._begin, record)

    def _begin(self, record: ExecutionHistory) -> None:
        if self.stage is not Stage.LOADING:
            return
        try:
            self._instance = WorkflowInstance(
                self, self._service.workflows, record, self._outer.call_soon
            )
            self._instance.replay(record)
        except (UnknownWorkflowError, Nondeterministic) as error:
            self.park(str(error))
            return
        except Exception as error:  # noqa: BLE001 - a bug here must not leave a run that hangs
            self.fault(error)
            return
        self.stage = Stage.LIVE
        early, self._early = self._early, []
        for event in early:
            self._instance.sequence.wake(event)
        self._instance.go_live()
        self._catch_up()

    def _catch_up(self) -> None:
        if (
            self.stage is Stage.LIVE
            and self._instance is not None
            and self._told > self._instance.sequence.arrived
        ):
            self.stage = Stage.CATCHING_UP
            self.spawn(self._missed(self._instance))

    async def _missed(self, instance: "WorkflowInstance") -> None:
        record = await retried(None, self._service.load, self.execution.id)
        if record.state.final:
            self.abandon()
        elif self.stage is Stage.CATCHING_UP:
            early, self._early = self._early, []
            for event in record.wakes(instance.sequence.arrived):
                instance.sequence.wake(event)
            instance.sequence.caught_up(record.woken)
            for event in early:
                instance.sequence.wake(event)
            self.stage = Stage.LIVE
            # Meanwhile more may have been told of.
            self._catch_up()

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do something outside of the workflow. Whatever it raises ends the run here."""
        if self.stage is Stage.CLOSED:
            work.close()
            msg = f"execution {self.execution.id} is not this worker's any more"
            raise asyncio.CancelledError(msg)
        task = self._outer.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Nondeterministic) and self.stage is not Stage.ENDING:
            self.park(str(error))
        elif error is not None and self._parting not in {None, task}:
            # It is about to be parked or given back, and a step with a clearance may be under way.
            what = "a step with a clearance" if task in self._cleared else "what was under way"
            log.error(
                "execution %s: how %s ended is not recorded",
                self.execution.id,
                what,
                exc_info=error,
            )
        elif error is not None:
            self.fault(error)
        elif self._instance is not None:
            self._instance.settle()

    async def send(
        self, command: Command, told: Told | None = None, cause: BaseException | None = None
    ) -> Noted:
        """Send a command of the run, and have the workflow told of the event that it records.

        Raises Refused and RequestError; CancelledError once the execution is not ours any more.
        """
        instance = self._instance
        if instance is None:
            raise asyncio.CancelledError
        event, woken = None, 0
        instance.sequence.sent()
        try:
            accepted = await self._sender.send(command)
            head = accepted.execution
            if head is None:
                msg = f"the service did not say how execution {self.execution.id} stands"
                raise Internal(msg)
            woken = head.woken_version
            if told is not None:
                position = int(accepted.position)
                # Of a repeat the head tells of a later moment than a replay would.
                event = Event(head.version, position, told[0], accepted.at, told[1])
            return accepted
        finally:
            instance.sequence.answered(event, woken, cause)
            if woken > instance.sequence.arrived and not self._service.told:
                # Nobody but this answer tells that something has come.
                self._told = max(self._told, woken)
                self._catch_up()

    def fault(self, error: BaseException) -> None:
        """Give the execution back: what went wrong is no fault of the workflow's."""
        if self.stage is Stage.CLOSED:
            return
        log.error(
            "execution %s can't go on here and is given back", self.execution.id, exc_info=error
        )
        if self.stage is not Stage.ENDING:
            self._wind_up()
            if self._cleared:
                self._parting = self.spawn(self._give_back())
                return
        self._leave()
        self._service.spare(self, parked=False)

    async def _give_back(self) -> None:
        await self._all_cleared()
        self._leave()
        self._service.spare(self, parked=False)

    def park(self, reason: str) -> None:
        """Keep every worker from the execution until a person has looked."""
        if self.stage is Stage.CLOSED:
            return
        self._wind_up()
        when = ", once its steps with a clearance have ended" if self._cleared else ""
        log.error("execution %s is parked%s: %s", self.execution.id, when, reason)
        self._parting = self.spawn(self._park(reason))

    async def _park(self, reason: str) -> None:
        await self._all_cleared()
        command = ParkExecution(
            execution_id=self.execution.id, fence=self.fence, reason=reason[:MAX_REASON]
        )
        await self._sender.send(command)
        self._leave()
        self._service.spare(self, parked=True)

    def _wind_up(self) -> None:
        """Stop the workflow and what is under way for it, but for steps with a clearance.

        Those are begun once, so that cut short they would end in doubt; and by a mark that is not
        recorded yet one may have been begun, which without it no code would be at again.
        """
        self.stage = Stage.ENDING
        self._draining = True
        kept: set[asyncio.Task[Any] | None] = {asyncio.current_task()}
        if self._instance is not None:
            self._cleared = self._instance.cleared
            kept |= self._cleared | self._instance.marking
            self._instance.drop()
        for task in self._tasks - kept:
            task.cancel()

    async def _all_cleared(self) -> None:
        """Wait until the steps with a clearance have ended, each within its own timeout."""
        pending: Collection[asyncio.Task[None]] = self._cleared
        while pending:
            _, pending = await asyncio.wait(pending, timeout=REMIND_SECONDS)
            if pending:
                log.warning(
                    "execution %s can't go on here, and waits for a step with a clearance to end;"
                    " timeout= bounds such a step, and a person can cancel the execution",
                    self.execution.id,
                )

    def _leave(self) -> None:
        self.stage = Stage.CLOSED
        self._sender.abandoned = True
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.drop()

    def finish(self, command: Command) -> None:
        """Record how the workflow ended."""
        self.stage = Stage.ENDING
        self.spawn(self._finish(command))

    async def _finish(self, command: Command) -> None:
        # What the workflow waits for no longer is taken back first: the end must not meet it.
        while others := {t for t in self._tasks - {asyncio.current_task()} if not t.cancelling()}:
            await asyncio.wait(others)
        try:
            await self._sender.send(command)
        except (LimitExceeded, BadRequest, InvalidInput) as error:
            text = f"the workflow's result can't be recorded: {error}"
            fail = FailExecution(execution_id=self.execution.id, fence=self.fence, error=text)
            await self._sender.send(fail)
        self._over()

    def _over(self) -> None:
        self._leave()
        self._service.ended(self)

    async def sleep(self, seconds: float) -> None:
        """Let time pass between two attempts of a step."""
        await self._service.sleep(seconds)

    def now(self) -> datetime:
        """Give the time, in UTC."""
        return self._service.now.astimezone(UTC)

    def draining(self) -> bool:
        """Whether nothing more may be begun."""
        return self._draining

    def idle(self) -> None:
        """Take note that the workflow waits for nothing but the stream."""
        self._service.idle(self)
