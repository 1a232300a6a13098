"""What the code of a workflow asks for: by ``run``, and by its own event loop."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from placet._util.serde import Read
from placet._util.validation import check_name
from placet.engine.call_keys import CallKeys
from placet.engine.child_access import ToChild, reach
from placet.engine.event_loop import WorkflowLoop
from placet.engine.history import MARKER, ExecutionHistory
from placet.engine.host import Host
from placet.engine.patches import Patches
from placet.engine.pending import (
    Pending,
    PendingApproval,
    PendingChild,
    PendingStep,
    PendingTimer,
    Told,
)
from placet.engine.recorded_events import RecordedEvents
from placet.engine.replay_matcher import ReplayMatcher, check_recorded_name
from placet.engine.request_sender import RequestSender
from placet.engine.run_backend import NOT_NEXT
from placet.engine.step_recorder import StepRecorder
from placet.engine.step_runner import StepRunner
from placet.errors import Nondeterministic
from placet.models.rules import MAX_NAME


class WorkflowCalls:
    """Gives a workflow what is recorded, and begins what is not once it is ``live``.

    It is the backend of the workflow's :class:`Run`, so its methods are called by the workflow
    itself, and :meth:`now` and :meth:`to_child` by one of its steps. :meth:`go_live` and
    :meth:`give_back` are called by the instance. ``broken``: how the workflow was found to differ
    from the record. ``closed``: nothing more is begun or delivered. ``finished``: the workflow has
    ended. ``cancelling``: it was told to clean up.
    """

    def __init__(self, host: Host, history: ExecutionHistory) -> None:
        execution = host.execution
        self.loop = WorkflowLoop(self._timer, execution.id)  # type: ignore[abstract]
        self.loop.now = execution.started_at.timestamp()
        self.matcher = ReplayMatcher(history.latest)
        self.recorded = RecordedEvents(history)
        self.patches = Patches(host, history)
        self.recorder = StepRecorder(host)
        self.step_runner = StepRunner(host, self.recorder, history.redeemed, history.failed)
        self.live = False
        self.cancelling = False
        self.closed = False
        self.finished = False
        self.broken: Nondeterministic | None = None
        self._host = host
        self._requests = RequestSender(host, self.recorder)
        self._keys = CallKeys()
        self._tried = history.tried
        self._names = history.names
        self._over = history.state.final

    @property
    def replaying(self) -> bool:
        """Whether the workflow is given recorded results."""
        return not self.live and (self.recorded.left > 0 or self._over)

    def key(self, given: str | None, name: str) -> str:
        """Return the key that was given, or ``name-n`` by order of call.

        Raises ValueError for a key that is reserved, or that the service does not take.
        """
        return self._keys.key(given, name)

    def request(self, pending: Pending) -> "asyncio.Future[Any]":
        """Begin to wait for something. Raises ValueError if its key is used already.

        An approval may use the key of an earlier one to open its next round, see ApprovalRounds.
        """
        matcher = self.matcher
        matcher.rounds.begin(pending, used=pending.key in matcher.keys)
        matcher.keys.add(pending.key)
        if pending.told is not None:
            matcher.asked[pending.key] = pending
        pending.future = self.loop.create_future()
        if self.closed or self.finished:
            return pending.future
        pending.tried = self._tried.get(pending.key, 0)
        matcher.open[pending.key] = pending
        pending.future.add_done_callback(lambda future: self._ended(pending, future))
        try:
            if self.live:
                self.check_name(pending)
            if pending.key in self.recorded.between:
                self.give_back(pending.key)
        except Nondeterministic as error:
            # Not raised here: the workflow could take it for an error of its own.
            self.broken = error
        if self.live and self.broken is None:
            if pending.open:
                self._begin(pending)
            if pending.untold:
                self._host.spawn(self.recorder.tell(pending))
        return pending.future

    def next_result(self, key: str, name: str, digest: str | None, read: Read) -> Any:
        """Return the result of a step if that is next in the record, else NOT_NEXT.

        A workflow that does nothing else meanwhile goes on with the result at once, as it would
        after a turn of its loop. In a long replay, that turn would be most of the time.
        """
        event = self.recorded.next_result_of(key, name, digest)
        if event is None or key in self.matcher.keys or not self.loop.alone:
            return NOT_NEXT
        try:
            result = read(event.data["result"])
        except Exception:  # noqa: BLE001 - reported by the matcher, which reads it again
            return NOT_NEXT
        self.recorded.taken()
        self.patches.replayed(event)
        self.matcher.keys.add(key)
        self.loop.now = event.at.timestamp()
        self.loop.turns += 1
        return result

    def ask(self, pending: Pending) -> "asyncio.Future[Told]":
        """Begin to wait for an approval or a child, and return a future of its id."""
        pending.told = self.loop.create_future()
        self.request(pending)
        return pending.told

    def address_of(self, approval_id: str) -> str:
        """Return the address at which people find an approval."""
        return self._host.engine.address_of(approval_id)

    async def to_child(self, pending: PendingChild, command: ToChild) -> None:
        """Send a command to a child. Raises Refused. Called by a step."""
        engine = self._host.engine
        await reach(engine.children, pending, command, engine.sleep)

    def signal(self, name: str) -> "asyncio.Future[Any]":
        """Wait for the next signal of a name."""
        future = self.loop.create_future()
        self.matcher.signal(name, future)
        return future

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self._host.engine.now.astimezone(UTC)

    def patched(self, name: str) -> bool:
        """Return whether to run the changed code; see :meth:`Run.patched`."""
        check_name(name, "the name of a patch", "give it another", MAX_NAME - len(MARKER))
        return self.patches.answer(name, record=not self.closed)

    def go_live(self) -> None:
        """Begin what the workflow waits for and the history does not have."""
        self.live = True
        for pending in tuple(self.matcher.open.values()):
            self._begin(pending)
        for asked in self.matcher.asked.values():
            if asked.untold:
                self._host.spawn(self.recorder.tell(asked))
        for pending in tuple(self.matcher.given_up.values()):
            if isinstance(pending, PendingStep):
                self._host.spawn(self.step_runner.cleared.doubt(pending))
            else:
                self._requests.take_back(pending)

    def give_back(self, key: str) -> None:
        """Give the workflow what was recorded under a key before a retry."""
        for event in self.recorded.of_key(key):
            self.matcher.apply(event)

    def check_name(self, pending: Pending) -> None:
        """Raise Nondeterministic if the service would refuse a step under its name."""
        if isinstance(pending, PendingStep):
            check_recorded_name(pending, self._names.get(pending.key, pending.name))

    def _begin(self, pending: Pending) -> None:
        match pending:
            case PendingStep():
                if not self._host.draining():
                    pending.task = self._host.spawn(
                        self.step_runner.perform(pending), pending.context
                    )
            case PendingApproval() | PendingTimer() | PendingChild() if not pending.known:
                self._host.spawn(self._requests.send(pending))

    def _ended(self, pending: Pending, future: "asyncio.Future[Any]") -> None:
        """Take back what the workflow has stopped waiting for."""
        if not future.cancelled():
            return
        if self.matcher.open.pop(pending.key, None) is None or self.closed:
            return
        if isinstance(pending, PendingStep):
            if pending.task is not None:
                pending.task.cancel()
            elif pending.clearance is not None:
                self.matcher.given_up[pending.key] = pending
        elif self.cancelling and isinstance(pending, PendingApproval) and pending.known:
            # The service has withdrawn it.
            return
        elif self.live:
            self._requests.take_back(pending)
        else:
            self.matcher.given_up[pending.key] = pending

    def _timer(self, delay: float) -> "asyncio.Future[None]":
        pending = PendingTimer(key=self.key(None, "timer"), delay=timedelta(seconds=delay))
        timer = self.request(pending)
        timer.add_done_callback(self._check_timer)
        return timer

    def _check_timer(self, timer: "asyncio.Future[None]") -> None:
        if not timer.cancelled() and (error := timer.exception()) is not None:
            self.broken = Nondeterministic(f"a timer can't be set: {error}")
