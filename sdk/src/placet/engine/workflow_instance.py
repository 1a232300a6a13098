"""One run of a workflow's code: its results come from the history first, then from the service."""

import asyncio
import logging
from collections.abc import Callable

from placet.engine.context import Run
from placet.engine.event_order import EventOrder
from placet.engine.history import MARKER, TOLD, Event, ExecutionHistory
from placet.engine.host import Host
from placet.engine.pending import PendingApproval, PendingStep
from placet.engine.registry import WorkflowRegistry
from placet.engine.replay_matcher import describe
from placet.engine.workflow_calls import WorkflowCalls
from placet.engine.workflow_end import end_command, warn_of_unread
from placet.errors import InvalidTransition, Nondeterministic, VersionConflict
from placet.models.commands import CompleteExecution, FailExecution, SuspendExecution

log = logging.getLogger("placet.engine")


class WorkflowInstance:
    """Runs a workflow from its start, along a history, and then on.

    Raises UnknownWorkflowError when it is made. Its methods are called from callbacks of the outer
    event loop. ``calls_type`` makes what the workflow itself calls.
    """

    def __init__(
        self,
        host: Host,
        workflows: WorkflowRegistry,
        history: ExecutionHistory,
        soon: Callable[[Callable[[], None]], object],
        calls_type: Callable[[Host, ExecutionHistory], WorkflowCalls] = WorkflowCalls,
    ) -> None:
        execution = host.execution
        workflow = workflows.find(execution.workflow, execution.workflow_version)
        self.event_order = EventOrder(history.woken, self._deliver, soon)
        self.calls = calls_type(host, history)
        self._host = host
        self._loop = self.calls.loop
        self._matcher = self.calls.matcher
        self._suspended = False
        run = Run(self.calls, execution, host.fence)
        self._main = self._loop.create_task(run.whole(workflow))

    @property
    def idle(self) -> bool:
        """Whether it waits for events only, with no step left to begin."""
        busy = self._host.tasks or self.event_order.waiting or self._main.done()
        return self.calls.live and not (busy or self._matcher.waits_for(PendingStep))

    @property
    def length(self) -> int:
        """For how much it has asked."""
        return len(self._matcher.keys)

    @property
    def cleared(self) -> frozenset["asyncio.Task[None]"]:
        """The steps with a clearance that are under way."""
        return self.calls.step_runner.cleared.running

    @property
    def next_step(self) -> str | None:
        """The step that is to be begun next, None if there is none."""
        return self._matcher.first_step

    @property
    def marking(self) -> frozenset["asyncio.Task[None]"]:
        """The tasks that record answers of ``run.patched``."""
        return self.calls.patches.marking

    @property
    def raised(self) -> BaseException | None:
        """The exception with which the workflow ended, if it did."""
        over = self._main.done() and not self._main.cancelled()
        return self._main.exception() if over else None

    def describe_pending(self) -> str:
        """Name what the workflow waits for."""
        return str(self._matcher)

    def replay(self, history: ExecutionHistory) -> None:
        """Take the workflow along its history. Raises Nondeterministic at the first difference."""
        recorded = self.calls.recorded
        recorded.begin(history.first)
        self._pump()
        self._replay_recorded()
        if history.between:
            recorded.keep_between(history.between)
            for key in [key for key in self._matcher.open if key in recorded.between]:
                self.calls.give_back(key)
                self._pump()
        recorded.begin(history.last)
        self._replay_recorded()
        for pending in self._matcher.open.values():
            self.calls.check_name(pending)

    def go_live(self) -> None:
        """Begin what the workflow waits for and the history does not have."""
        self.calls.go_live()
        self.settle()

    def close(self) -> None:
        """Deliver nothing more. What the workflow asks for from now on never comes."""
        self.calls.closed = True

    def stop(self) -> None:
        """Cancel the workflow."""
        self.calls.closed = True
        self._loop.cancel()
        self._loop.drop()

    def drop(self) -> None:
        """Drop the workflow's frames where they are."""
        self.calls.closed = True
        self._loop.drop()

    def settle(self) -> None:
        """Decide what to do now that something has ended."""
        if self.calls.closed or self.calls.finished or not self.calls.live:
            return
        if self._main.done():
            self._finish()
        elif not self._host.tasks and not self.event_order.waiting:
            self._rest()

    def end(self) -> CompleteExecution | FailExecution | None:
        """Return the command that says how the workflow ended, None while it runs."""
        if not self._main.done():
            return None
        cancelling = self.calls.cancelling
        return end_command(self._main, self._id, self._host.fence, cancelling=cancelling)

    def _finish(self) -> None:
        self.calls.finished = True
        warn_of_unread(self._id, self._matcher.unread)
        for asked in self._matcher.asked.values():
            asked.future.cancel()
        # Tasks that the workflow left behind must not act on an execution that is over.
        self._loop.cancel()
        command = self.end()
        assert command is not None
        self._host.finish(command)

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

    @property
    def _id(self) -> str:
        return self._host.execution.id

    def _deliver(self, event: Event) -> None:
        if self.calls.closed:
            return
        self._suspended = False
        self._loop.now = event.at.timestamp()
        try:
            self._apply(event)
            self._pump()
        except Nondeterministic as error:
            self._host.park(str(error))
        except Exception as error:  # noqa: BLE001 - a bug here must not leave a run that hangs
            self._host.fault(error)
        else:
            self.settle()

    def _replay_recorded(self) -> None:
        for event in self.calls.recorded:
            self.calls.patches.replayed(event)
            if self._main.done():
                self._check_after_end(event)
                continue
            self._loop.now = event.at.timestamp()
            self._apply(event)
            self._pump()

    def _apply(self, event: Event) -> None:
        if event.type == "CancellationRequested":
            self.calls.cancelling = True
            self._main.cancel()
        else:
            self._matcher.apply(event)

    def _check_after_end(self, event: Event) -> None:
        """Accept events of what a workflow left behind. Raises Nondeterministic for others."""
        if event.type == "CancellationRequested":
            return
        key = event.approval.key if event.approval is not None else event.data["key"]
        own = key.startswith((MARKER, TOLD))
        if key not in self._matcher.keys and not own and event.type != "SignalReceived":
            msg = f"the record goes on with {describe(event)}, but the workflow has ended"
            raise Nondeterministic(msg)

    def _pump(self) -> None:
        """Run the workflow as far as it goes. Raises the Nondeterministic that it met."""
        self._loop.pump()
        if self._loop.blocked is not None:
            raise self._too_long()
        if self.calls.broken is not None:
            raise self.calls.broken

    def _too_long(self) -> Nondeterministic:
        if self._main.done() and not self._main.cancelled():
            # Otherwise asyncio logs it when the task is garbage collected.
            self._main.exception()
        return Nondeterministic(
            f"the workflow blocked its engine at {self._loop.blocked}: what waits or takes long"
            " belongs into a step (run.step) that is a plain function, which gets a thread"
        )
