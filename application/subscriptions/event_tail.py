"""The tail: what is appended to the log, handed to whoever follows it, in order and without a gap.

This process's writer hands its commits over directly. For those of other processes there is
LISTEN, and a poll for what a notification missed.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import psycopg
import structlog

from application import metrics
from application.background_tasks import stop
from application.command_handling.writer import Commit
from application.event_store.reader import EventQuery, Reader
from application.event_store.recent_events import RecentEvents
from application.event_store.recorded import FoldedEvent, LoggedEvent
from application.subscriptions.notifications import RECONNECT_AFTER, NotificationListener
from domain.serialization.event_codec import Unreadable

_log = structlog.get_logger(__name__)

PAGE = 500
SOON = 0.003
_ANY = EventQuery()

EventListener = Callable[[Sequence[FoldedEvent]], None]
"""Takes events as they are appended. Those of other processes may have no head yet."""


class EventPage(NamedTuple):
    """Events in the order of the log. ``position``: up to where nothing that matches is missing."""

    events: tuple[LoggedEvent, ...]
    position: int


class EventTail:
    """Puts what is appended into ``recent``, and hands it to those who follow the log.

    ``poll`` is the longest time in seconds that a missed notification costs. ``on_events`` is
    called on the loop soon after there are new events, when those who wait for them have them:
    whoever is woken by it takes no time from them.
    """

    def __init__(
        self,
        conninfo: str,
        reader: Reader,
        recent: RecentEvents,
        *,
        poll: float = 1.0,
        on_events: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader = reader
        self.recent = recent
        self._poll = poll
        self._on_events = on_events
        self._will_tell = False
        self._listeners: list[EventListener] = []
        self._waiting: dict[UUID | None, set[asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()
        self._notifications = NotificationListener(conninfo, self._wake.set)
        self._draining = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin at the log's end. Raises psycopg errors if the database is away."""
        self.recent.begin(await self._reader.position())
        self._tasks = [
            asyncio.create_task(self._notifications.run(), name="placet-tail-listen"),
            asyncio.create_task(self._read(), name="placet-tail-read"),
        ]

    async def close(self) -> None:
        """Stop. Those who follow wait until they are cancelled."""
        await stop(self._tasks)

    def drain(self) -> None:
        """Have everyone answered who waits in :meth:`happens`, now and later: the server is ending.

        Those who follow go on until they are cancelled.
        """
        self._draining = True
        for key in tuple(self._waiting):
            self._release(key)

    def offer(self, commit: Commit) -> None:
        """Take a commit of this process's writer."""
        self._notifications.writer_pid = commit.writer_pid
        if commit.after == self.position:
            self._publish(commit.entries)
        else:
            self._wake.set()

    def listen(self, listener: EventListener) -> None:
        """Have all events handed over in the moment in which they are known, before all followers.

        In order and without a gap, from the position at the start. It must neither raise nor wait.
        """
        self._listeners.append(listener)

    async def follow(
        self,
        after: int | None = None,
        *,
        execution_id: UUID | None = None,
        idle: float = 15.0,
    ) -> AsyncGenerator[EventPage, None]:
        """Give events after a position (None: from now on), first from the log and then live.

        A batch without events comes when there were none for ``idle`` seconds. Never ends.
        """
        position = self.position if after is None else after
        while True:
            idled = position >= self.position and not await self._wait(execution_id, idle)
            # Also after an idle time it is looked: something may have come at its very end.
            batch = self._from_memory(position, execution_id)
            if batch is None:
                batch = await self._from_log(position, execution_id)
            position = batch.position
            if batch.events or idled:
                yield batch

    @property
    def position(self) -> int:
        """The position of the last event that is known of."""
        return self.recent.position

    @property
    def draining(self) -> bool:
        """Whether the server is ending, so that nobody should wait any more."""
        return self._draining

    async def moves(self, execution_id: UUID, version: int, *, after: int, seconds: float) -> bool:
        """Say whether the execution goes past a version within so many seconds.

        ``after``: a position of the log from before that version was read. Says no before the
        time is up if the server is ending.
        """

        def past(event: LoggedEvent) -> bool:
            return event.recorded.version > version

        return await self.happens(past, execution_id=execution_id, after=after, seconds=seconds)

    async def happens(
        self,
        wanted: Callable[[LoggedEvent], bool],
        *,
        execution_id: UUID | None = None,
        after: int,
        seconds: float,
    ) -> bool:
        """Say whether such an event comes after a position within so many seconds.

        Says no before the time is up if the server is ending.
        """
        clock, position = asyncio.get_running_loop().time, after
        until = clock() + seconds
        while True:
            batch = self._from_memory(position, execution_id)
            if batch is None:
                batch = await self._from_log(position, execution_id)
            if any(wanted(event) for event in batch.events):
                return True
            position = batch.position
            left = until - clock()
            if left <= 0 or self._draining:
                return False
            if position >= self.position:
                await self._wait(execution_id, left)

    def _from_memory(self, after: int, execution_id: UUID | None) -> EventPage | None:
        """Give what came after a position, None if some of it has to be read from the log."""
        entries = self.recent.after(after)
        if entries is None:
            return None
        events = [entry.event for entry in entries]
        if execution_id is not None:
            events = [event for event in events if event.recorded.execution_id == execution_id]
        return EventPage(tuple(events), max(after, self.position))

    async def _from_log(self, after: int, execution_id: UUID | None) -> EventPage:
        upto = self.position
        query = _ANY if execution_id is None else EventQuery(execution_id=execution_id)
        events = await self._reader.events(query, after=after, upto=upto, limit=PAGE)
        return EventPage(tuple(events), events[-1].position if len(events) == PAGE else upto)

    async def _wait(self, execution_id: UUID | None, idle: float) -> bool:
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(execution_id, set())
        waiting.add(future)
        try:
            async with asyncio.timeout(idle):
                await future
        except TimeoutError:
            return False
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(execution_id) is waiting:
                del self._waiting[execution_id]
        return True

    def _publish(self, entries: Sequence[FoldedEvent]) -> None:
        if not entries:
            return
        now = datetime.now(UTC)
        self.recent.append(entries)
        for listener in self._listeners:
            try:
                listener(entries)
            except Exception:  # noqa: BLE001 - logged
                # The others must not miss what one could not take.
                _log.exception("listener_failed", position=self.position)
        for key in {None, *(entry.event.recorded.execution_id for entry in entries)}:
            self._release(key)
        # After those who wait for it went on.
        asyncio.get_running_loop().call_soon(_observe, entries, now)
        if not self._will_tell:
            self._will_tell = True
            asyncio.get_running_loop().call_later(SOON, self._tell)

    def _release(self, key: UUID | None) -> None:
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(None)

    def _tell(self) -> None:
        self._will_tell = False
        self._on_events()

    async def _read(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._read_all()
            except psycopg.Error as error:
                _log.debug("tail_unreachable", error=str(error))
                await asyncio.sleep(RECONNECT_AFTER)
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("tail_failed", position=self.position)
                await asyncio.sleep(RECONNECT_AFTER)

    async def _read_all(self) -> None:
        while True:
            events = await self._reader.events(_ANY, after=self.position, limit=PAGE)
            # Meanwhile the writer may have handed over some of them.
            new = [FoldedEvent(event, None) for event in events if event.position > self.position]
            for event in events:
                if isinstance(event.recorded.event, Unreadable):
                    _log.error("event_unreadable", reason=event.recorded.event.reason)
            self._publish(new)
            if len(events) < PAGE:
                return


def _observe(entries: Sequence[FoldedEvent], delivered: datetime) -> None:
    for entry in entries:
        if isinstance(entry.event.recorded.event, Unreadable):
            continue
        lag = (delivered - entry.event.recorded.at).total_seconds()
        metrics.WAKEUP_SECONDS.observe(max(lag, 0.0))
