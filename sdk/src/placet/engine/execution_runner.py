"""Runs one claimed execution: replays it, runs it on, puts it away, gives it back."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from placet._util.positions import number_of
from placet.client.transport.retry import retried
from placet.engine import lost_workers
from placet.engine.engine_access import EngineAccess
from placet.engine.fenced_sender import FencedSender
from placet.engine.history import Event, ExecutionHistory, arranged
from placet.engine.host import EventContent
from placet.engine.registry import UnknownWorkflowError
from placet.engine.run_ending import RunEnding
from placet.engine.run_phase import RunPhase
from placet.engine.run_spans import FAILED, WAITING, RunSpans
from placet.engine.run_tasks import RunTasks
from placet.engine.runner_backend import RunnerBackend
from placet.engine.workflow_instance import WorkflowInstance
from placet.errors import Internal, Nondeterministic
from placet.models.commands import Command, CompleteExecution
from placet.models.worker_responses import Claim, ClaimedTranscript, Noted, Transcript

_STARTED_AND_CLAIMED = 2


class ExecutionRunner:
    """Runs the workflow of one claimed execution, and is its host.

    The workflow's own loop only runs in callbacks of the outer loop, never inside one of its tasks.
    While the workflow waits there is no task for it.
    """

    def __init__(self, claim: Claim, backend: "RunnerBackend[ExecutionRunner]") -> None:
        self.execution = claim.execution
        self.fence = claim.fence
        self.phase = RunPhase.LOADING
        # Whether the service still counts it as held: not once a person has parked it.
        self.holds = True
        self.instance: WorkflowInstance | None = None
        self._backend = backend
        self._outer = asyncio.get_running_loop()
        self._sender = FencedSender(claim.execution.id, backend.submit, self.abandon)
        self._tasks = RunTasks(self._task_done)
        self._ending = RunEnding(self, backend, self._tasks, self._sender)
        # Events that came before the history was read.
        self._early: list[Event] = []
        self._woken = claim.execution.woken_version
        self._seen = 0
        # Whether it was begun alone here, after other workers were lost.
        self._alone = False
        self._spans = RunSpans(claim.execution)
        if claim.execution.version <= _STARTED_AND_CLAIMED and not self._spans.on:
            # It was started and claimed and nothing else, so its history need not be read.
            self._outer.call_soon(self._begin, ExecutionHistory(version=claim.execution.version))
        elif claim.transcript is not None:
            self._outer.call_soon(self._begin_along, claim.transcript)
        else:
            self.spawn(self._load())

    @property
    def away(self) -> bool:
        """Whether the workflow's frames were dropped until something happens."""
        return self.phase is RunPhase.AWAY

    @property
    def arrived(self) -> int:
        """The version of the last wake-up that is known of."""
        return max(self._woken, 0 if self.instance is None else self.instance.event_order.arrived)

    @property
    def seen(self) -> int | None:
        """The version of the last wake-up that was dealt with; None while there is work left."""
        if self.phase is RunPhase.AWAY:
            return self._seen
        if self.phase is RunPhase.LIVE and self.instance is not None and self.instance.idle:
            return self.instance.event_order.woken
        return None

    @property
    def length(self) -> int:
        """For how much the workflow has asked, which a replay would ask for again."""
        return 0 if self.instance is None else self.instance.length

    @property
    def waits_for(self) -> str:
        """What the workflow waits for, as messages name it."""
        return "nothing" if self.instance is None else self.instance.describe_pending()

    @property
    def engine(self) -> EngineAccess:
        """What workflows and steps use of the engine."""
        return self._backend.engine

    @property
    def tasks(self) -> frozenset["asyncio.Task[None]"]:
        """What is under way outside of the workflow."""
        return self._tasks.running

    def happened(self, event: Event) -> None:
        """Take an event for which the workflow may wait."""
        match self.phase:
            case RunPhase.LOADING | RunPhase.CATCHING_UP:
                self._early.append(event)
            case RunPhase.AWAY:
                self._wake_up()
            case RunPhase.LIVE if self.instance is not None:
                self._wake(self.instance, event)

    def _wake(self, instance: WorkflowInstance, event: Event) -> None:
        if event.version > instance.event_order.arrived:
            self._spans.begin(event.trace)
        instance.event_order.wake(event)

    def claimed_again(self, claim: Claim) -> None:
        """Look for events that the connection missed while it was down."""
        self._woken = max(self._woken, claim.execution.woken_version)
        if self.phase is RunPhase.AWAY and self._woken > self._seen:
            self._wake_up()
        elif self.phase is RunPhase.LIVE:
            self._catch_up()

    def put_away(self) -> None:
        """Drop the workflow's frames. It is replayed when something happens."""
        if self.phase is RunPhase.LIVE and self.instance is not None and self.instance.idle:
            self._seen = self.instance.event_order.woken
            self.phase = RunPhase.AWAY
            self.instance.drop()
            self.instance = None

    def drain(self) -> None:
        """Begin nothing more. What is under way may end."""
        self._ending.draining = True

    def abandon(self) -> None:
        """Stop at once, and record nothing more."""
        self._ending.abandon(self._outer.call_soon)

    def _wake_up(self) -> None:
        self.phase = RunPhase.LOADING
        self.spawn(self._load())

    async def _load(self) -> None:
        try:
            history = await retried(None, self._backend.load, self.execution.id)
        except Nondeterministic as error:
            self.park(str(error))
            return
        if history.state.final:
            self._ending.over()
        else:
            self._outer.call_soon(self._begin, history)

    def _begin_along(self, claimed: ClaimedTranscript) -> None:
        """Begin with the transcript that came with the claim."""
        if self.phase is not RunPhase.LOADING:
            return
        transcript = Transcript(
            execution=self.execution, events=claimed.events, approvals=claimed.approvals
        )
        try:
            history = arranged(transcript)
        except Nondeterministic as error:
            self.park(str(error))
            return
        self._begin(history)

    async def _begin_alone(self, history: ExecutionHistory) -> None:
        """Begin after others that have lost their workers, and record that first."""
        self._alone = True
        await self._backend.turns.wait(self.execution.id, history.alone)
        if history.alone > lost_workers.LIMIT:
            self.park(lost_workers.reason(history, None))
            return
        await self._sender.send(lost_workers.mark(self.execution.id, self.fence, history))
        self._outer.call_soon(self._begin, history)

    def _begin(self, history: ExecutionHistory) -> None:
        if self.phase is not RunPhase.LOADING:
            return
        if history.lost >= lost_workers.SUSPECT and not self._alone:
            self.spawn(self._begin_alone(history))
            return
        self._spans.begin(history.cause)
        try:
            self.instance = WorkflowInstance(
                self, self._backend.workflows, history, self._outer.call_soon
            )
            self.instance.replay(history)
            limit = self._alone and history.alone >= lost_workers.LIMIT
            if limit and (step := self.instance.next_step):
                self.park(lost_workers.reason(history, step))
                return
        except UnknownWorkflowError as error:
            self._ending.unknown(error)
            return
        except Nondeterministic as error:
            self.park(str(error))
            return
        except Exception as error:  # noqa: BLE001 - a bug here must not leave a run that hangs
            self.fault(error)
            return
        self.phase = RunPhase.LIVE
        early, self._early = self._early, []
        for event in early:
            self._wake(self.instance, event)
        self.instance.go_live()
        self._catch_up()

    def _catch_up(self) -> None:
        if (
            self.phase is RunPhase.LIVE
            and self.instance is not None
            and self._woken > self.instance.event_order.arrived
        ):
            self.phase = RunPhase.CATCHING_UP
            self.spawn(self._load_missed(self.instance))

    async def _load_missed(self, instance: WorkflowInstance) -> None:
        history = await retried(None, self._backend.load, self.execution.id)
        if history.state.final:
            self.abandon()
        elif self.phase is RunPhase.CATCHING_UP:
            early, self._early = self._early, []
            for event in history.wakes(instance.event_order.arrived):
                self._wake(instance, event)
            instance.event_order.caught_up(history.woken)
            for event in early:
                self._wake(instance, event)
            self.phase = RunPhase.LIVE
            # More may have happened meanwhile.
            self._catch_up()

    def spawn(
        self, work: Coroutine[Any, Any, None], context: Context | None = None
    ) -> "asyncio.Task[None]":
        """Do something outside of the workflow. An exception that it raises ends the run here."""
        if self.phase is RunPhase.CLOSED:
            work.close()
            msg = f"execution {self.execution.id} is no longer held by this worker"
            raise asyncio.CancelledError(msg)
        return self._tasks.spawn(work, self._spans.within(context))

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Nondeterministic) and self.phase is not RunPhase.ENDING:
            self.park(str(error))
        elif error is not None:
            self._ending.after(task, error)
        elif self.instance is not None:
            self.instance.settle()

    async def send(self, command: Command, content: EventContent | None = None) -> Noted:
        """Send a command of the run, and deliver the event that it records to the workflow.

        Raises Refused and RequestError, and CancelledError once the execution is no longer held.
        """
        instance = self.instance
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
            if self._alone:
                self._backend.turns.end(self.execution.id)
            if content is not None:
                type_, data = content
                # For a repeat, the head is of a later moment. A replay has the time of the event.
                event = Event(head.version, number_of(accepted.position), type_, accepted.at, data)
            return accepted
        finally:
            instance.event_order.answered(event, woken)
            if woken > instance.event_order.arrived and not self._backend.streaming:
                # Only this answer says that something has happened.
                self._woken = max(self._woken, woken)
                self._catch_up()

    def draining(self) -> bool:
        """Whether nothing more may be begun."""
        return self._ending.draining

    def lost(self) -> bool:
        """Whether the execution is no longer held."""
        return self._sender.abandoned

    def idle(self) -> None:
        """Note that the workflow waits for events only."""
        if self._alone:
            self._backend.turns.end(self.execution.id)
        self._spans.end(WAITING)
        self._backend.idle(self)

    def fault(self, error: BaseException) -> None:
        """Give the execution back after an error that is not the workflow's."""
        self._spans.failed(error)
        self._ending.fault(error)

    def park(self, reason: str) -> None:
        """Keep every worker from the execution until a person has looked at it."""
        self._spans.ends_as("parked")
        self._ending.park(reason)

    def parked(self) -> None:
        """Stop, because a person has parked the execution. Steps with a clearance may end."""
        self._ending.parked()

    def finish(self, command: Command) -> None:
        """Record how the workflow ended."""
        self._spans.ends_as("completed" if isinstance(command, CompleteExecution) else FAILED)
        self._ending.finish(command)

    def closed(self) -> None:
        """Note that it does nothing more."""
        self._spans.end()
