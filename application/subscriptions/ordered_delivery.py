"""Delivers the events of the tail in order, each with the state after it.

The states are usually in memory; then events are delivered at once. If a needed state must be
loaded, its events and all later ones wait for it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import structlog

from application.event_store.chained_events import DAMAGE, FoldedEvent, LoggedEvent
from application.event_store.reader import Reader
from application.subscriptions.event_tail import EventTail
from domain.aggregates import Aggregate
from domain.execution.state import Execution

_log = structlog.get_logger(__name__)

MAX_WAITING = 10_000
"""How many events may wait while a state is loaded."""

Events = Sequence[LoggedEvent]
States = Sequence[Execution | None]


class DeliveryTarget(Protocol):
    """The receiver of the events. None of its methods may block."""

    @property
    def active(self) -> bool:
        """Whether events are wanted at all at this moment."""

    def needs_state(self, events: Events) -> list[bool]:
        """Return for each event whether the state after it is needed."""

    def deliver(self, events: Events, states: States) -> None:
        """Receive events with the state after each of them.

        A state is None if the execution is damaged, if the state is neither needed nor known, or if
        the event is of another stream than an execution.
        """

    def events_missed(self) -> None:
        """Called when events were dropped, because of an error or because too many waited."""


class OrderedDelivery:
    """Delivers all events from :meth:`start` on to one target."""

    def __init__(self, tail: EventTail, reader: Reader, target: DeliveryTarget) -> None:
        self._tail = tail
        self._reader = reader
        self._target = target
        self._waiting: deque[Sequence[FoldedEvent]] = deque()
        self._loading = False
        self._load = asyncio.Event()

    def start(self) -> "asyncio.Task[None]":
        """Start. Returns the task that loads states."""
        self._tail.add_listener(self._receive, self._drop_waiting)
        return asyncio.create_task(self._run_loader(), name="placet-delivery")

    def _receive(self, entries: Sequence[FoldedEvent]) -> None:
        if not self._target.active:
            self._waiting.clear()
        elif self._waiting and sum(map(len, self._waiting)) >= MAX_WAITING:
            _log.warning("delivery_behind", position=self._tail.position)
            self._drop_waiting()
        else:
            self._waiting.append(entries)
            if not self._loading:
                self._deliver_known()

    def _deliver_known(self) -> None:
        """Deliver the events whose needed states are in memory."""
        try:
            while self._waiting:
                entries = self._waiting[0]
                states = self._known(entries)
                if states is None:
                    self._loading = True
                    self._load.set()
                    return
                self._waiting.popleft()
                self._target.deliver([entry.event for entry in entries], states)
        except Exception:  # noqa: BLE001 - logged, and the target is informed
            self._fail()

    async def _run_loader(self) -> None:
        while True:
            await self._load.wait()
            self._load.clear()
            try:
                await self._load_first()
            except Exception:  # noqa: BLE001 - logged, and the target is informed
                self._fail()
            self._loading = False
            self._deliver_known()

    async def _load_first(self) -> None:
        """Load the states that the first waiting events need, and deliver these events.

        During the load the target may come to need more states, so it is asked again.
        """
        if not self._waiting:
            return
        entries = self._waiting[0]
        events = [entry.event for entry in entries]
        states: dict[int, Execution | None] = {}
        loaded: set[UUID] = set()
        while missing := self._needed(events) - loaded:
            wanted = [event for event in events if event.recorded.execution_id in missing]
            for event, transition in zip(
                wanted, await self._reader.transitions(wanted), strict=True
            ):
                if isinstance(transition, Exception):
                    _note_damage(event, transition)
                else:
                    states[event.position] = _execution(transition.after)
            loaded |= missing
        # The waiting events may have been dropped meanwhile.
        if self._waiting and self._waiting[0] is entries:
            self._waiting.popleft()
            self._target.deliver(events, [states.get(event.position) for event in events])

    def _known(self, entries: Sequence[FoldedEvent]) -> States | None:
        """Return the state after each event, None if a needed one must be loaded."""
        if all(entry.head is not None for entry in entries):
            return [None if each.head is None else _execution(each.head.state) for each in entries]
        events = [entry.event for entry in entries]
        states: list[Execution | None] = []
        for event, needed in zip(events, self._target.needs_state(events), strict=True):
            try:
                head = self._tail.recent.head_after(event)
            except DAMAGE as error:
                _note_damage(event, error)
                head = None
            else:
                if needed and head is None:
                    return None
            states.append(None if head is None else _execution(head.state))
        return states

    def _needed(self, events: Events) -> set[UUID]:
        """Return the executions of which a state is needed."""
        return {
            event.recorded.execution_id
            for event, needed in zip(events, self._target.needs_state(events), strict=True)
            if needed
        }

    def _fail(self) -> None:
        _log.exception("delivery_failed", position=self._tail.position)
        self._drop_waiting()

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._target.events_missed()


def _execution(state: Aggregate) -> Execution | None:
    return state if isinstance(state, Execution) else None


def _note_damage(event: LoggedEvent, error: Exception) -> None:
    _log.error("event_damaged", id=str(event.recorded.execution_id), error=str(error))
