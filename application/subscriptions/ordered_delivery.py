"""What the tail tells, in order, with the state after each event.

As a rule the states are in memory, and whoever listens is told in the moment of the publication.
Where one that is needed has to be loaded, all that comes after it waits for that.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import structlog

from application.event_store.reader import Reader
from application.event_store.recorded import DAMAGE, LoggedEvent
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
    def listening(self) -> bool:
        """Whether there is anybody to be told anything."""

    def needed(self, events: Events) -> list[bool]:
        """Say of each event whether the state after it has to be known."""

    def take_in(self, events: Events, states: States) -> None:
        """Take events and the state after each, None where it is damaged, or not known.

        What is needed is known.
        """

    def miss(self) -> None:
        """Take note that events were missed."""


class OrderedDelivery:
    """Tells one listener of everything from the start on."""

    def __init__(self, tail: EventTail, reader: Reader, listener: DeliveryTarget) -> None:
        self._tail = tail
        self._reader = reader
        self._listener = listener
        self._waiting: deque[tuple[Events, States | None]] = deque()
        self._loading = False
        self._load = asyncio.Event()

    def start(self) -> "asyncio.Task[None]":
        """Begin. Gives the task that loads what is not known."""
        self._tail.listen(self._hear)
        return asyncio.create_task(self._load_for_ever(), name="placet-hearing")

    def _hear(self, events: Events, states: States | None) -> None:
        if not self._listener.listening:
            self._waiting.clear()
        elif self._waiting and sum(len(each) for each, _ in self._waiting) >= MAX_WAITING:
            _log.warning("hearing_behind", position=self._tail.position)
            self._miss()
        else:
            self._waiting.append((events, states))
            if not self._loading:
                self._go_on()

    def _go_on(self) -> None:
        """Tell what can be told without a look into the log."""
        try:
            while self._waiting:
                events, states = self._waiting[0]
                states = states or self._known(events)
                if states is None:
                    self._loading = True
                    self._load.set()
                    return
                self._waiting.popleft()
                self._listener.take_in(events, states)
        except Exception:  # noqa: BLE001 - logged, and the listener is told
            self._fail()

    async def _load_for_ever(self) -> None:
        while True:
            await self._load.wait()
            self._load.clear()
            try:
                await self._load_first()
            except Exception:  # noqa: BLE001 - logged, and the listener is told
                self._fail()
            self._loading = False
            self._go_on()

    async def _load_first(self) -> None:
        """Load what the first of those that wait needs, also what it comes to need meanwhile."""
        if not self._waiting:
            return
        events, _ = self._waiting[0]
        loaded: dict[int, Execution | None] = {}
        while missing := [
            i
            for i, needed in enumerate(self._listener.needed(events))
            if needed and i not in loaded
        ]:
            for i in missing:
                loaded[i] = await self._after(events[i])
        # Meanwhile it may have been missed.
        if self._waiting and self._waiting[0][0] is events:
            self._waiting.popleft()
            self._listener.take_in(events, [loaded.get(i) for i in range(len(events))])

    def _known(self, events: Events) -> States | None:
        """Give the state after each event; None if one that is needed has to be loaded."""
        states: list[Execution | None] = []
        for event, needed in zip(events, self._listener.needed(events), strict=True):
            try:
                state = self._reader.known_after(event)
            except DAMAGE as error:
                _note_damage(event, error)
                state = None
            else:
                if needed and state is None:
                    return None
            states.append(state)
        return states

    async def _after(self, event: LoggedEvent) -> Execution | None:
        try:
            return await self._reader.after(event)
        except DAMAGE as error:
            _note_damage(event, error)
            return None

    def _fail(self) -> None:
        _log.exception("hearing_failed", position=self._tail.position)
        self._miss()

    def _miss(self) -> None:
        self._waiting.clear()
        self._listener.miss()


def _note_damage(event: LoggedEvent, error: Exception) -> None:
    _log.error("event_damaged", id=str(event.recorded.execution_id), error=str(error))
