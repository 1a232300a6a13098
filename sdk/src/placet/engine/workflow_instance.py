"""One playing of a workflow: what it asks for is had from the record, then from the service."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from placet._util.durations import iso_duration
from placet._util.invoke import described
from placet._util.names import MAX_NAME, check_name
from placet._util.serde import plain
from placet.engine.context import Run
from placet.engine.event_loop import WorkflowLoop
from placet.engine.event_order import EventOrder
from placet.engine.history import MARKER, Event, ExecutionHistory
from placet.engine.host import Host
from placet.engine.pending import Pending, PendingApproval, PendingChild, PendingStep, PendingTimer
from placet.engine.registry import WorkflowRegistry
from placet.engine.resolver import Resolver, check_recorded_name, told
from placet.engine.step_runner import StepRunner
from placet.errors import (
    BadRequest,
    Internal,
    InvalidTransition,
    LimitExceeded,
    Nondeterministic,
    PlacetError,
    Refused,
    VersionConflict,
    transient,
)
from placet.models.commands import (
    CancelTimer,
    Command,
    CompleteExecution,
    FailExecution,
    RecordStep,
    SetTimer,
    SuspendExecution,
    WithdrawApproval,
)

log = logging.getLogger("placet.engine")

A = TypeVar("A", bound=Pending)

NO_LONGER = "the workflow no longer waits for it"


class WorkflowInstance:
    """Runs a workflow from its start, along a record, and then on.

    Raises UnknownWorkflowError when made. The methods are called from callbacks of the outer loop,
    and :meth:`ask`, :meth:`signal`, :meth:`patched` and :meth:`key` by the workflow itself,
    :meth:`now` by a step of it.
    """

    def __init__(
        self,
        owner: Host,
        workflows: WorkflowRegistry,
        record: ExecutionHistory,
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        execution = owner.execution
        workflow = workflows.find(execution.workflow, execution.workflow_version)
        self.sequence = EventOrder(record.woken, self._deliver, soon)
        self.loop = WorkflowLoop(self._timer)  # type: ignore[abstract]
        self.loop.now = execution.started_at.timestamp()
        self._owner = owner
        self._steps = StepRunner(owner, record.redeemed)
        self._tried = record.tried
        self._names = record.names
        self._left = sum(map(_by_worker, (*record.first, *record.last)))
        self._between: dict[str, Any] = {}
        self._marks = record.marks
        self._unmarked: set[str] = set()
        self.marking: frozenset[asyncio.Task[None]] = frozenset()
        self._over_already = record.state.final
        self._live = False
        self._closed = False
        self._finished = False
        self._suspended = False
        self._broken: Nondeterministic | None = None
        self._numbers: Counter[str] = Counter()
        self._answers = Resolver()
        self._main = self.loop.create_task(workflow(Run(self, execution, owner.fence)))

    @property
    def idle(self) -> bool:
        """Whether it waits for nothing but the stream, and leaves no step to be begun."""
        busy = self._owner.tasks or self.sequence.waiting or self._main.done()
        return self._live and not (busy or self._answers.waits_for(PendingStep))

    @property
    def cleared(self) -> frozenset["asyncio.Task[None]"]:
        """The steps with a clearance that are under way."""
        steps = [ask for ask in self._answers.open.values() if isinstance(ask, PendingStep)]
        return frozenset(s.task for s in steps if s.clearance is not None and s.task is not None)

    def replay(self, record: ExecutionHistory) -> None:
        """Take the workflow along its record. Raises Nondeterministic at the first difference."""
        self._pump()
        for event in record.first:
            self._replay(event)
        if record.between:
            self._between = dict(record.between)
            for key in [key for key in self._answers.open if key in self._between]:
                self._give_back(key)
                self._pump()
        for event in record.last:
            self._replay(event)
        for ask in self._answers.open.values():
            self._check_name(ask)

    def go_live(self) -> None:
        """Begin what was asked for and does not stand in the record."""
        self._live = True
        for ask in tuple(self._answers.open.values()):
            self._begin(ask)
        for ask in tuple(self._answers.given_up.values()):
            self._take_back(ask)
        self.settle()

    def close(self) -> None:
        """Tell the workflow nothing more. What it asks for from now on it never gets."""
        self._closed = True

    def stop(self) -> None:
        """Cancel the workflow."""
        self._closed = True
        self.loop.cancel()
        self.loop.drop()

    def drop(self) -> None:
        """Forget the workflow where it is."""
        self._closed = True
        self.loop.drop()

    def _pump(self) -> None:
        """Run the workflow as far as it goes. Raises Nondeterministic for what it met there."""
        self.loop.pump()
        if self._broken is not None:
            raise self._broken

    def settle(self) -> None:
        """See what there is to do now that something has come to an end."""
        if self._closed or self._finished or not self._live:
            return
        if self._main.done():
            self._finish()
        elif not self._owner.tasks and not self.sequence.waiting:
            self._rest()

    def _rest(self) -> None:
        if not self._answers.awaited:
            self._owner.park(
                "the workflow waits for something that can't come: it awaits neither a step, nor"
                " an approval, a timer, a signal or a child; what comes from a thread, a connection"
                " or another event loop belongs into a step (run.step)"
            )
        elif self._owner.draining():
            return
        elif not self._suspended and not self._answers.waits_for(PendingApproval):
            self._suspended = True
            self._owner.spawn(self._suspend())
        else:
            self._owner.idle()

    async def _suspend(self) -> None:
        command = SuspendExecution(
            execution_id=self._id, fence=self._owner.fence, seen=self.sequence.woken
        )
        try:
            await self._owner.send(command)
        except (VersionConflict, InvalidTransition) as error:
            # Something has come, and is on its way here.
            log.debug("execution %s does not sleep: %s", self._id, error)

    def end(self) -> CompleteExecution | FailExecution | None:
        """Give what says how the workflow ended, None if it has not."""
        if not self._main.done():
            return None
        error: BaseException | None
        try:
            error = self._main.exception()
            if error is None:
                result = plain(self._main.result(), "the workflow's result")
                return CompleteExecution(
                    execution_id=self._id, fence=self._owner.fence, result=result
                )
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - models raise anything
            error = raised
        # Where a rejection was raised is no news; where a bug was is.
        trace = None if isinstance(error, PlacetError) else error
        log.warning("execution %s failed: %s", self._id, described(error), exc_info=trace)
        return FailExecution(execution_id=self._id, fence=self._owner.fence, error=described(error))

    @property
    def raised(self) -> BaseException | None:
        """What the workflow has ended with, where it is an exception."""
        over = self._main.done() and not self._main.cancelled()
        return self._main.exception() if over else None

    def asked(self) -> str:
        """Name what the workflow waits for."""
        return str(self._answers)

    def _finish(self) -> None:
        self._finished = True
        # What the workflow left behind must not act on an execution that is over.
        self.loop.cancel()
        command = self.end()
        assert command is not None
        self._owner.finish(command)

    @property
    def _id(self) -> str:
        return self._owner.execution.id

    def key(self, given: str | None, name: str) -> str:
        """Give the key that was given, or ``name-n`` by order of call.

        Raises ValueError for one that would be taken for a mark of changed code, or that the
        service does not take.
        """
        key = given
        if key is None:
            self._numbers[name] += 1
            key = f"{name}-{self._numbers[name]}"
        check_name(key, "the key", "give another by key=, of 1 to 200 printable characters")
        if key.startswith(MARKER):
            msg = f"the key {key!r} begins with {MARKER!r}, which is kept for run.patched"
            raise ValueError(msg)
        return key

    def ask(self, ask: Pending) -> "asyncio.Future[Any]":
        """Ask for something. Raises ValueError if its key is used already."""
        if ask.key in self._answers.keys:
            msg = f"the key {ask.key!r} is used twice in one run; give each ask one of its own"
            raise ValueError(msg)
        self._answers.keys.add(ask.key)
        ask.future = self.loop.create_future()
        if self._closed or self._finished:
            return ask.future
        ask.tried = self._tried.get(ask.key, 0)
        self._answers.open[ask.key] = ask
        ask.future.add_done_callback(lambda future: self._ended(ask, future))
        try:
            if self._live:
                self._check_name(ask)
            if ask.key in self._between:
                self._give_back(ask.key)
        except Nondeterministic as error:
            # Not for the workflow, which might take it for a failure of its own.
            self._broken = error
        if self._live and ask.open and self._broken is None:
            self._begin(ask)
        return ask.future

    def _check_name(self, ask: Pending) -> None:
        """Raise Nondeterministic if the service would refuse a step under its name."""
        if isinstance(ask, PendingStep):
            check_recorded_name(ask, self._names.get(ask.key, ask.name))

    def signal(self, name: str) -> "asyncio.Future[Any]":
        """Wait for the next signal of a name."""
        future = self.loop.create_future()
        self._answers.signal(name, future)
        return future

    def now(self) -> datetime:
        """Give the time, in UTC."""
        return self._owner.now()

    def patched(self, name: str) -> bool:
        """Say whether the changed code is to be run; see :meth:`Run.patched`."""
        check_name(name, "the name of a patch", "give it another", MAX_NAME - len(MARKER))
        key = MARKER + name
        if key in self._marks:
            return True
        if key in self._unmarked or self._left > 0 or self._over_already:
            # A later place must hear the same, now and in every replay.
            self._unmarked.add(key)
            return False
        self._marks = self._marks | {key}
        if not self._closed:
            self.marking |= {self._owner.spawn(self._mark(key))}
        return True

    async def _mark(self, key: str) -> None:
        await self._owner.send(
            RecordStep(
                execution_id=self._id, fence=self._owner.fence, key=key, name="patched", result=True
            )
        )

    def _timer(self, delay: float) -> "asyncio.Future[None]":
        timer = self.ask(PendingTimer(key=self.key(None, "timer"), delay=timedelta(seconds=delay)))
        timer.add_done_callback(self._check_timer)
        return timer

    def _check_timer(self, timer: "asyncio.Future[None]") -> None:
        if not timer.cancelled() and (error := timer.exception()) is not None:
            self._broken = Nondeterministic(f"a timer can't be had: {error}")

    def _begin(self, ask: Pending) -> None:
        match ask:
            case PendingStep():
                if not self._owner.draining():
                    ask.task = self._owner.spawn(self._steps.perform(ask))
            case PendingApproval() | PendingTimer() | PendingChild() if not ask.known:
                self._owner.spawn(self._request(ask))

    async def _request(self, ask: Pending) -> None:
        """Have the service note what is asked for."""
        try:
            accepted = await self._owner.send(self._command(ask))
        except (Refused, BadRequest, LimitExceeded) as error:
            if transient(error):
                raise
            await self._steps.refuse(ask, error)
            return
        ask.known = True
        if isinstance(ask, PendingApproval):
            if accepted.approval is None:
                msg = f"the service did not say which approval {ask.key!r} is"
                raise Internal(msg)
            ask.approval_id = accepted.approval.id
        if not ask.open:
            self._take_back(ask)

    def _command(self, ask: Pending) -> Command:
        match ask:
            case PendingApproval():
                return ask.request
            case PendingChild():
                return ask.command
            case PendingTimer():
                return SetTimer(
                    execution_id=self._id,
                    fence=self._owner.fence,
                    key=ask.key,
                    delay=None if ask.delay is None else iso_duration(ask.delay),
                    until=ask.until,
                )
            case _:
                msg = f"{ask} is no request"
                raise TypeError(msg)

    def _ended(self, ask: Pending, future: "asyncio.Future[Any]") -> None:
        """Take back what the workflow has stopped waiting for."""
        if not future.cancelled() or self._answers.open.pop(ask.key, None) is None or self._closed:
            return
        if isinstance(ask, PendingStep):
            if ask.task is not None:
                ask.task.cancel()
        elif self._live:
            self._take_back(ask)
        else:
            self._answers.given_up[ask.key] = ask

    def _take_back(self, ask: Pending) -> None:
        match ask:
            case PendingApproval(approval_id=str(approval_id)):
                command: Command = WithdrawApproval(
                    approval_id=approval_id, fence=self._owner.fence, reason=NO_LONGER
                )
            case PendingTimer(known=True):
                command = CancelTimer(execution_id=self._id, fence=self._owner.fence, key=ask.key)
            case _:
                return
        self._owner.spawn(self._taken_back(command))

    async def _taken_back(self, command: Command) -> None:
        try:
            await self._owner.send(command)
        except Refused as error:
            if transient(error):
                raise
            # It was resolved, or is of no more interest, in the same moment.
            log.debug("execution %s: %s", self._id, error)

    def _deliver(self, event: Event, cause: BaseException | None) -> None:
        if self._closed:
            return
        self._suspended = False
        self.loop.now = event.at.timestamp()
        try:
            self._answers.apply(event, cause)
            self._pump()
        except Nondeterministic as error:
            self._owner.park(str(error))
        except Exception as error:  # noqa: BLE001 - a bug here must not leave a run that hangs
            self._owner.fault(error)
        else:
            self.settle()

    def _replay(self, event: Event) -> None:
        self._left -= _by_worker(event)
        if self._main.done():
            self._check_after_end(event)
            return
        self.loop.now = event.at.timestamp()
        self._answers.apply(event, None)
        self._pump()

    def _check_after_end(self, event: Event) -> None:
        """Let pass what comes of that which a workflow leaves behind. Raises Nondeterministic."""
        key = event.approval.key if event.approval is not None else event.data["key"]
        if key not in self._answers.keys and event.type != "SignalReceived":
            msg = f"the record goes on with {told(event)}, but the workflow has ended"
            raise Nondeterministic(msg)

    def _give_back(self, key: str) -> None:
        for event in self._between.pop(key):
            self._answers.apply(event, None)


def _by_worker(event: Event) -> bool:
    """Say whether a worker must have come so far; a signal may come before the first."""
    return event.type != "SignalReceived"
