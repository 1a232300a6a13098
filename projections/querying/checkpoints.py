"""The positions that the read models have reached, and waiting for a position."""

import asyncio
from collections import defaultdict
from threading import Event, Lock
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from projections.querying.keyset_pages import BehindError
from projections.querying.sql_files import statements

POSITIONS = statements("projections.querying", "checkpoints.sql")

MAX_WAIT = 5.0
POLL = 0.1


class _Waiter(NamedTuple):
    position: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


class Checkpoints:
    """The checkpoints of all read models.

    The projector of this process reports them. If another process projects, the database is polled.
    ``max_wait`` and ``poll`` are in seconds.
    """

    def __init__(self, *, max_wait: float = MAX_WAIT, poll: float = POLL) -> None:
        self._max_wait = max_wait
        self._poll = poll
        self._lock = Lock()
        self._known: dict[str, int] = {}
        self._waiting: dict[str, list[_Waiter]] = defaultdict(list)
        self._waiter_came = Event()

    def pause(self, seconds: float) -> None:
        """Wait for some seconds, but not while a query waits. The projector calls it."""
        self._waiter_came.clear()
        with self._lock:
            awaited = any(self._waiting.values())
        if not awaited:
            self._waiter_came.wait(seconds)

    def end_pause(self) -> None:
        """End a pause. Any thread may call it."""
        self._waiter_came.set()

    def reached(self, name: str, position: int) -> None:
        """Note that a read model has reached a position. Any thread may call it."""
        with self._lock:
            self._known[name] = position
            waiters = self._waiting[name]
            ready = [waiter for waiter in waiters if waiter.position <= position]
            if ready:
                self._waiting[name] = [w for w in waiters if w.position > position]
        for waiter in ready:
            try:
                waiter.loop.call_soon_threadsafe(_finish, waiter.future)
            except RuntimeError:
                # The waiter's event loop was closed meanwhile.
                continue

    async def wait(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], name: str, position: int
    ) -> None:
        """Wait until a read model has reached a position. Raises BehindError after ``max_wait``."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._max_wait
        while self._known.get(name, -1) < position:
            async with pool.connection() as connection:
                cursor = await connection.execute(POSITIONS["read_one"], {"name": name})
                row = await cursor.fetchone()
            current = 0 if row is None else row[0]
            if current >= position:
                return
            left = until - loop.time()
            if left <= 0:
                msg = f"{name} is at {current} and did not reach {position} in time"
                raise BehindError(msg)
            await self._wait_for_notice(loop, name, position, min(left, self._poll))

    async def _wait_for_notice(
        self, loop: asyncio.AbstractEventLoop, name: str, position: int, longest: float
    ) -> None:
        waiter = _Waiter(position, loop, loop.create_future())
        with self._lock:
            if self._known.get(name, -1) >= position:
                return
            self._waiting[name].append(waiter)
        self.end_pause()
        try:
            await asyncio.wait([waiter.future], timeout=longest)
        finally:
            with self._lock:
                if waiter in self._waiting[name]:
                    self._waiting[name].remove(waiter)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
