"""One run of a workflow's code: its results come from the history first, then from the service."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from placet._util.invoke import described
from placet._util.serde import plain
from placet._util.validation import check_name
from placet.engine.context import Run
from placet.engine.event_loop import WorkflowLoop
from placet.engine.event_order import EventOrder
from placet.engine.history import MARKER, TOLD, Event, ExecutionHistory
from placet.engine.host import Host
from placet.engine.patches import Patches
from placet.engine.pending import Pending, PendingApproval, PendingChild, PendingStep, PendingTimer
from placet.engine.registry import WorkflowRegistry
from placet.engine.replay_matcher import ReplayMatcher, check_recorded_name, describe
from placet.engine.request_sender import RequestSender
from placet.engine.step_runner import StepRunner
from placet.errors import InvalidTransition, Nondeterministic, PlacetError, VersionConflict
from placet.models.commands import CompleteExecution, FailExecution, SuspendExecution
from placet.models.rules import MAX_NAME

log = logging.getLogger("placet.engine")


class WorkflowInstance:
    """Runs a workflow from its start, along a history, and then on.

    Raises UnknownWorkflowError when it is made. :meth:`request`, :meth:`signal`, :meth:`patched`
    and :meth:`key` are called by the workflow itself and :meth:`now` by one of its steps. All other
    methods are called from callbacks of the outer event loop.
    """

    def __init__(
        self,
        host: Host,
        workflows: WorkflowRegistry,
        history: ExecutionHistory,
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        execution = host.execution
        workflow = workflows.find(execution.workflow, execution.workflow_version)
        self.event_order = EventOrder(history.woken, self._deliver, soon)
        self.loop = WorkflowLoop(self._timer)  # type: ignore[abstract]
        self.loop.now = execution.started_at.timestamp()
        self._host = host
        self._step_runner = StepRunner(host, history.redeemed, history.failed)
        self._requests = RequestSender(host, self._step_runner)
        self._patches = Patches(host, history)
        self._matcher = ReplayMatcher()
        self._tried = history.tried
        self._names = history.names
        self._between: dict[str, Any] = {}
        # How many recorded events the workflow was not given yet.
        self._left = len(history.first) + len(history.last)
        self._over = history.state.final
        self._live = False
        self._closed = False
        self._finished = False
        self._suspended = False
        self._broken: Nondeterministic | None = None
        self._numbers: Counter[str] = Counter()
        self._main = self.loop.create_task(workflow(Run(self, execution, host.fence)))

    @property
    def idle(self) -> bool:
        """Whether it waits for events only, with no step left to begin."""
        busy = self._host.tasks or self.event_order.waiting or self._main.done()
        return self._live and not (busy or self._matcher.waits_for(PendingStep))

    @property
    def cleared(self) -> frozenset["asyncio.Task[None]"]:
        """The steps with a clearance that are under way."""
        steps = [each for each in self._matcher.open.values() if isinstance(each, PendingStep)]
        return frozenset(s.task for s in steps if s.clearance is not None and s.task is not None)

    @property
    def marking(self) -> frozenset["asyncio.Task[None]"]:
        """The tasks that record answers of ``run.patched``."""
        return self._patches.marking

    def replay(self, history: ExecutionHistory) -> None:
        """Take the workflow along its history. Raises Nondeterministic at the first difference."""
        self._pump()
        for event in history.first:
            self._replay(event)
        if history.between:
            self._between = dict(history.between)
            for key in [key for key in self._matcher.open if key in self._between]:
                self._give_back(key)
                self._pump()
        for event in history.last:
            self._replay(event)
        for pending in self._matcher.open.values():
            self._check_name(pending)

    def go_live(self) -> None:
        """Begin what the workflow waits for and the history does not have."""
        self._live = True
        for pending in tuple(self._matcher.open.values()):
            self._begin(pending)
        for asked in self._matcher.asked.values():
            if asked.untold:
                self._host.spawn(self._step_runner.tell(asked))
        for pending in tuple(self._matcher.given_up.values()):
            self._requests.take_back(pending)
        self.settle()

    def close(self) -> None:
        """Deliver nothing more. What the workflow asks for from now on never comes."""
        self._closed = True

    def stop(self) -> None:
        """Cancel the workflow."""
        self._closed = True
        self.loop.cancel()
        self.loop.drop()

    def drop(self) -> None:
        """Drop the workflow's frames where they are."""
        self._closed = True
        self.loop.drop()

    def _pump(self) -> None:
        """Run the workflow as far as it goes. Raises the Nondeterministic that it met."""
        self.loop.pump()
        if self._broken is not None:
            raise self._broken

    def settle(self) -> None:
        """Decide what to do now that something has ended."""
        if self._closed or self._finished or not self._live:
            return
        if self._main.done():
            self._finish()
        elif not self._host.tasks and not self.event_order.waiting:
            self._rest()

    def _rest(self) -> None:
        if not self._matcher.awaited:
            self._host.park(
                "the workflow waits for something that can't come: it awaits neither a step, nor"
                " an approval, a timer, a signal or a child. Put whatever comes from a thread, a"
                " connection or another event loop into a step (run.step)"
            )
        elif self._host.draining():
            return
        elif not self._suspended and not self._matcher.waits_for(PendingApproval):
            self._suspended = True
            self._host.spawn(self._suspend())
        else:
            self._host.idle()

    async def _suspend(self) -> None:
        command = SuspendExecution(
            execution_id=self._id, fence=self._host.fence, seen=self.event_order.woken
        )
        try:
            await self._host.send(command)
        except (VersionConflict, InvalidTransition) as error:
            # Something has happened, and its event is on its way here.
            log.debug("execution %s is not suspended: %s", self._id, error)

    def end(self) -> CompleteExecution | FailExecution | None:
        """Return the command that says how the workflow ended, None while it runs."""
        if not self._main.done():
            return None
        error: BaseException | None
        try:
            error = self._main.exception()
            if error is None:
                result = plain(self._main.result(), "the workflow's result")
                return CompleteExecution(
                    execution_id=self._id, fence=self._host.fence, result=result
                )
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - models raise anything
            error = raised
        # A traceback helps with a bug. It does not with a rejection.
        trace = None if isinstance(error, PlacetError) else error
        log.warning("execution %s failed: %s", self._id, described(error), exc_info=trace)
        return FailExecution(execution_id=self._id, fence=self._host.fence, error=described(error))

    @property
    def raised(self) -> BaseException | None:
        """The exception with which the workflow ended, if it did."""
        over = self._main.done() and not self._main.cancelled()
        return self._main.exception() if over else None

    def describe_pending(self) -> str:
        """Name what the workflow waits for."""
        return str(self._matcher)

    def _finish(self) -> None:
        self._finished = True
        for asked in self._matcher.asked.values():
            asked.future.cancel()
        # Tasks that the workflow left behind must not act on an execution that is over.
        self.loop.cancel()
        command = self.end()
        assert command is not None
        self._host.finish(command)

    @property
    def _id(self) -> str:
        return self._host.execution.id

    def key(self, given: str | None, name: str) -> str:
        """Return the key that was given, or ``name-n`` by order of call.

        Raises ValueError for a key that is reserved for ``run.patched``, or that the service does
        not take.
        """
        key = given
        if key is None:
            self._numbers[name] += 1
            key = f"{name}-{self._numbers[name]}"
        check_name(key, "the key", "give another by key=, of 1 to 200 printable characters")
        for reserved, use in ((MARKER, "run.patched"), (TOLD, "run.ask")):
            if key.startswith(reserved):
                msg = f"the key {key!r} begins with {reserved!r}, which is reserved for {use}"
                raise ValueError(msg)
        return key

    def request(self, pending: Pending) -> "asyncio.Future[Any]":
        """Begin to wait for something. Raises ValueError if its key is used already."""
        if pending.key in self._matcher.keys:
            msg = f"the key {pending.key!r} is used twice in one run; give each use its own key"
            raise ValueError(msg)
        self._matcher.keys.add(pending.key)
        if isinstance(pending, PendingApproval) and pending.told is not None:
            self._matcher.asked[pending.key] = pending
        pending.future = self.loop.create_future()
        if self._closed or self._finished:
            return pending.future
        pending.tried = self._tried.get(pending.key, 0)
        self._matcher.open[pending.key] = pending
        pending.future.add_done_callback(lambda future: self._ended(pending, future))
        try:
            if self._live:
                self._check_name(pending)
            if pending.key in self._between:
                self._give_back(pending.key)
        except Nondeterministic as error:
            # Not raised here: the workflow could take it for an error of its own.
            self._broken = error
        if self._live and self._broken is None:
            if pending.open:
                self._begin(pending)
            if isinstance(pending, PendingApproval) and pending.untold:
                self._host.spawn(self._step_runner.tell(pending))
        return pending.future

    def ask(self, pending: PendingApproval) -> "asyncio.Future[str]":
        """Begin to wait for an approval, and return a future of its id."""
        pending.told = self.loop.create_future()
        self.request(pending)
        return pending.told

    @property
    def replaying(self) -> bool:
        """Whether the workflow is given recorded results."""
        return not self._live and (self._left > 0 or self._over)

    def _check_name(self, pending: Pending) -> None:
        """Raise Nondeterministic if the service would refuse a step under its name."""
        if isinstance(pending, PendingStep):
            check_recorded_name(pending, self._names.get(pending.key, pending.name))

    def signal(self, name: str) -> "asyncio.Future[Any]":
        """Wait for the next signal of a name."""
        future = self.loop.create_future()
        self._matcher.signal(name, future)
        return future

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self._host.now()

    def patched(self, name: str) -> bool:
        """Return whether to run the changed code; see :meth:`Run.patched`."""
        check_name(name, "the name of a patch", "give it another", MAX_NAME - len(MARKER))
        return self._patches.answer(name, record=not self._closed)

    def _timer(self, delay: float) -> "asyncio.Future[None]":
        pending = PendingTimer(key=self.key(None, "timer"), delay=timedelta(seconds=delay))
        timer = self.request(pending)
        timer.add_done_callback(self._check_timer)
        return timer

    def _check_timer(self, timer: "asyncio.Future[None]") -> None:
        if not timer.cancelled() and (error := timer.exception()) is not None:
            self._broken = Nondeterministic(f"a timer can't be set: {error}")

    def _begin(self, pending: Pending) -> None:
        match pending:
            case PendingStep():
                if not self._host.draining():
                    pending.task = self._host.spawn(self._step_runner.perform(pending))
            case PendingApproval() | PendingTimer() | PendingChild() if not pending.known:
                self._host.spawn(self._requests.send(pending))

    def _ended(self, pending: Pending, future: "asyncio.Future[Any]") -> None:
        """Take back what the workflow has stopped waiting for."""
        if not future.cancelled():
            return
        if self._matcher.open.pop(pending.key, None) is None or self._closed:
            return
        if isinstance(pending, PendingStep):
            if pending.task is not None:
                pending.task.cancel()
        elif self._live:
            self._requests.take_back(pending)
        else:
            self._matcher.given_up[pending.key] = pending

    def _deliver(self, event: Event) -> None:
        if self._closed:
            return
        self._suspended = False
        self.loop.now = event.at.timestamp()
        try:
            self._matcher.apply(event)
            self._pump()
        except Nondeterministic as error:
            self._host.park(str(error))
        except Exception as error:  # noqa: BLE001 - a bug here must not leave a run that hangs
            self._host.fault(error)
        else:
            self.settle()

    def _replay(self, event: Event) -> None:
        self._left -= 1
        self._patches.replayed(event)
        if self._main.done():
            self._check_after_end(event)
            return
        self.loop.now = event.at.timestamp()
        self._matcher.apply(event)
        self._pump()

    def _check_after_end(self, event: Event) -> None:
        """Accept events of what a workflow left behind. Raises Nondeterministic for others."""
        key = event.approval.key if event.approval is not None else event.data["key"]
        own = key.startswith((MARKER, TOLD))
        if key not in self._matcher.keys and not own and event.type != "SignalReceived":
            msg = f"the record goes on with {describe(event)}, but the workflow has ended"
            raise Nondeterministic(msg)

    def _give_back(self, key: str) -> None:
        for event in self._between.pop(key):
            self._matcher.apply(event)
