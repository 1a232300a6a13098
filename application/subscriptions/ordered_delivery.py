"""What the tail tells, in order, with the state after each event.

As a rule the states are in memory, and whoever listens is told in the moment of the publication.
Where one that is needed has to be loaded, all that comes after it waits for that.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import structlog

from application.event_store.reader import Reader
from application.event_store.recorded import DAMAGE, FoldedEvent, LoggedEvent
from application.subscriptions.event_tail import EventTail
from domain.execution.state import Execution

_log = structlog.get_logger(__name__)

MAX_WAITING = 10_000
"""Events that wait while a state is loaded, at most."""

Events = Sequence[LoggedEvent]
States = Sequence[Execution | None]


class DeliveryTarget(Protocol):
    """Who is told. None of it may wait."""

    @property
    def active(self) -> bool:
        """Whether there is anybody to be told anything."""

    def needs_state(self, events: Events) -> list[bool]:
        """Say of each event whether the state after it has to be known."""

    def deliver(self, events: Events, states: States) -> None:
        """Take events and the state after each, None where it is damaged, or not known.

        What is needed is known.
        """

    def events_missed(self) -> None:
        """Take note that events were missed."""


class OrderedDelivery:
    """Tells one listener of everything from the start on."""

    def __init__(self, tail: EventTail, reader: Reader, target: DeliveryTarget) -> None:
        self._tail = tail
        self._reader = reader
        self._target = target
        self._waiting: deque[Sequence[FoldedEvent]] = deque()
        self._loading = False
        self._load = asyncio.Event()

    def start(self) -> "asyncio.Task[None]":
        """Begin. Gives the task that loads what is not known."""
        self._tail.add_listener(self._receive)
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
        """Deliver what can be delivered without a look into the log."""
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
        except Exception:  # noqa: BLE001 - logged, and the target is told
            self._fail()

    async def _run_loader(self) -> None:
        while True:
            await self._load.wait()
            self._load.clear()
            try:
                await self._load_first()
            except Exception:  # noqa: BLE001 - logged, and the target is told
                self._fail()
            self._loading = False
            self._deliver_known()

    async def _load_first(self) -> None:
        """Load what the first of those that wait needs, also what it comes to need meanwhile."""
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
                    states[event.position] = transition.after
            loaded |= missing
        # Meanwhile it may have been missed.
        if self._waiting and self._waiting[0] is entries:
            self._waiting.popleft()
            self._target.deliver(events, [states.get(event.position) for event in events])

    def _known(self, entries: Sequence[FoldedEvent]) -> States | None:
        """Give the state after each event; None if one that is needed has to be loaded."""
        if all(entry.head is not None for entry in entries):
            return [None if entry.head is None else entry.head.execution for entry in entries]
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
            states.append(None if head is None else head.execution)
        return states

    def _needed(self, events: Events) -> set[UUID]:
        """Give the executions of which a state has to be known."""
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


def _note_damage(event: LoggedEvent, error: Exception) -> None:
    _log.error("event_damaged", id=str(event.recorded.execution_id), error=str(error))
