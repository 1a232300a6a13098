"""The event tail: passes new events to everything that follows the log, in order, without a gap.

The writer of this process passes its commits on directly. For commits of other processes the tail
listens to notifications of PostgreSQL, and polls in case one was missed.
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
from application.event_store.chained_events import FoldedEvent, LoggedEvent
from application.event_store.positions import LogPosition, PositionUnknownError
from application.event_store.reader import Reader
from application.event_store.reading import READING
from application.event_store.recent_events import RecentEvents
from application.subscriptions.notifications import RECONNECT_AFTER, NotificationListener
from domain.serialization.event_codec import Unreadable

_log = structlog.get_logger(__name__)

PAGE = 500
CLIENT_PAGE = 100
CLIENT_PAGE_BYTES = 128 * 1024
"""The page of a client. While it does not read, the server keeps the page for it."""
CALL_DELAY = 0.003

EventListener = Callable[[Sequence[FoldedEvent]], None]
"""A function that gets new events. Events of other processes may have no head yet."""


class EventPage(NamedTuple):
    """Events in the order of the log: all that match, up to and including ``position``.

    ``hash`` is the hash of the event at the position, "" if it is not known.
    """

    events: tuple[LoggedEvent, ...]
    position: int
    hash: str


class EventTail:
    """Adds new events to ``recent``, and passes them to the followers of the log.

    ``reader`` reads for the tail itself, and for process managers that follow. ``client_reader``
    reads for followers on behalf of clients, by default the same.

    ``poll`` is after how many seconds the log is read if a notification was missed. ``on_events``
    is called on the event loop shortly after new events, so that its work does not delay followers.
    """

    def __init__(
        self,
        conninfo: str,
        reader: Reader,
        recent: RecentEvents,
        *,
        client_reader: Reader | None = None,
        poll: float = 1.0,
        on_events: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader = reader
        self._client_reader = client_reader or reader
        self.recent = recent
        self._poll = poll
        self._on_events = on_events
        self._call_scheduled = False
        self._listeners: list[tuple[EventListener, Callable[[], None]]] = []
        self._generation = 0
        self._waiting: dict[UUID | None, set[asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()
        self._notifications = NotificationListener(conninfo, self._wake.set)
        self._draining = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start at the end of the log. Raises psycopg errors if the database is unavailable."""
        self.recent.begin(*await self._reader.positions.end())
        self._tasks = [
            asyncio.create_task(self._notifications.run(), name="placet-tail-listen"),
            asyncio.create_task(self._read(), name="placet-tail-read"),
        ]

    async def close(self) -> None:
        """Stop. Followers get no more events; they end when they are cancelled."""
        await stop(self._tasks)

    def drain(self) -> None:
        """End all waits in :meth:`wait_for`, now and later, because the server is ending.

        Followers continue until they are cancelled.
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

    def add_listener(
        self, listener: EventListener, on_gap: Callable[[], None] = lambda: None
    ) -> None:
        """Call a function with all new events, before any follower gets them.

        It gets them in order and without a gap, from the position at the start of the tail.
        ``on_gap`` is called if the log is replaced and does not continue from there. Neither may
        raise or block.
        """
        self._listeners.append((listener, on_gap))

    async def follow(
        self,
        after: int | None = None,
        *,
        execution_id: UUID | None = None,
        idle: float = 15.0,
    ) -> AsyncGenerator[EventPage, None]:
        """Yield pages of events after a position (None: from now on), from the log and then live.

        Yields an empty page if there was no event for ``idle`` seconds. Never ends. Raises
        PositionUnknownError if the log has no such position, or if the log is replaced meanwhile.
        """
        generation = self._generation
        position = self.position if after is None else after
        await self._reader.positions.check_position(LogPosition(position))
        while True:
            if self._generation != generation:
                msg = f"the log was replaced by one without the events up to position {position}"
                raise PositionUnknownError(msg)
            if (reading := READING.get()) is not None:
                # The page before has been handled.
                reading.let_go()
            idled = position >= self.position and not await self._wait(execution_id, idle)
            # Also after a timeout, because an event may have come at its very end.
            page = self._from_memory(position, execution_id)
            if page is None:
                page = await self._from_log(position, execution_id)
            position = page.position
            if page.events or idled:
                yield page

    @property
    def position(self) -> int:
        """The position of the last known event."""
        return self.recent.position

    @property
    def draining(self) -> bool:
        """Whether the server is ending, so that no request should wait any longer."""
        return self._draining

    async def wait_for_version(
        self, execution_id: UUID, version: int, *, after: int, seconds: float
    ) -> bool:
        """Wait until an execution has a later version. False after so many seconds.

        ``after``: a position of the log from before the version was read. Returns False earlier if
        the server is ending.
        """

        def past(event: LoggedEvent) -> bool:
            return event.recorded.version > version

        return await self.wait_for(past, execution_id=execution_id, after=after, seconds=seconds)

    async def wait_for(
        self,
        wanted: Callable[[LoggedEvent], bool],
        *,
        execution_id: UUID | None = None,
        after: int,
        seconds: float,
    ) -> bool:
        """Wait for a wanted event after a position. False after so many seconds.

        Returns False earlier if the server is ending.
        """
        clock, position = asyncio.get_running_loop().time, after
        until = clock() + seconds
        while True:
            page = self._from_memory(position, execution_id)
            if page is None:
                page = await self._from_log(position, execution_id)
            if any(wanted(event) for event in page.events):
                return True
            position = page.position
            left = until - clock()
            if left <= 0 or self._draining:
                return False
            if position >= self.position:
                await self._wait(execution_id, left)

    def _from_memory(self, after: int, execution_id: UUID | None) -> EventPage | None:
        """Return the events after a position, None if some must be read from the log."""
        entries = self.recent.after(after)
        if entries is None:
            return None
        events = [entry.event for entry in entries]
        if execution_id is not None:
            events = [event for event in events if event.recorded.execution_id == execution_id]
        position, hash_ = self.recent.position, self.recent.hash
        return EventPage(tuple(events), max(after, position), hash_ if position >= after else "")

    async def _from_log(self, after: int, execution_id: UUID | None) -> EventPage:
        upto, hash_ = self.recent.position, self.recent.hash
        if READING.get() is None:
            events, more = await self._reader.page(
                execution_id=execution_id, after=after, upto=upto, limit=PAGE
            )
        else:
            events, more = await self._client_reader.page(
                execution_id=execution_id,
                after=after,
                upto=upto,
                limit=CLIENT_PAGE,
                max_bytes=CLIENT_PAGE_BYTES,
            )
        if more:
            return EventPage(tuple(events), events[-1].position, events[-1].hash)
        return EventPage(tuple(events), upto, hash_)

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
        for listener, _ in self._listeners:
            try:
                listener(entries)
            except Exception:  # noqa: BLE001 - logged
                # The other listeners must get the events too.
                _log.exception("listener_failed", position=self.position)
        for key in {None, *(entry.event.recorded.execution_id for entry in entries)}:
            self._release(key)
        # Later, so that it does not delay the followers.
        asyncio.get_running_loop().call_soon(_observe, entries, now)
        if not self._call_scheduled:
            self._call_scheduled = True
            asyncio.get_running_loop().call_later(CALL_DELAY, self._call_on_events)

    async def _restart(self, position: int) -> None:
        """Continue at the end of another log, after a failover to a database that lacks events.

        Followers get PositionUnknownError, and for listeners ``on_gap`` is called.
        """
        end, hash_ = await self._reader.positions.end()
        _log.error("log_diverged", position=position, end=end)
        self.recent.forget()
        self.recent.begin(end, hash_)
        self._generation += 1
        for _, on_gap in self._listeners:
            on_gap()
        for key in tuple(self._waiting):
            self._release(key)

    def _release(self, key: UUID | None) -> None:
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(None)

    def _call_on_events(self) -> None:
        self._call_scheduled = False
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
            position, hash_ = self.recent.position, self.recent.hash
            # Read the last known event again: the log may have another in its place, or end before.
            events, more = await self._reader.page(after=max(position - 1, 0), limit=PAGE)
            if position and (
                not events or (events[0].position, events[0].hash) != (position, hash_)
            ):
                await self._restart(position)
                return
            # The writer may have passed on some of them meanwhile.
            new = [FoldedEvent(event, None) for event in events if event.position > self.position]
            for event in events:
                if isinstance(event.recorded.event, Unreadable):
                    _log.error("event_unreadable", reason=event.recorded.event.reason)
            self._publish(new)
            if not more:
                return


def _observe(entries: Sequence[FoldedEvent], delivered: datetime) -> None:
    for entry in entries:
        if isinstance(entry.event.recorded.event, Unreadable):
            continue
        lag = (delivered - entry.event.recorded.at).total_seconds()
        metrics.WAKEUP_SECONDS.observe(max(lag, 0.0))
