"""Wakes the live pages when there are new events: a moment later, and a few pages at a time.

Hundreds of pages can be open. If all of them were woken by a commit at once, its answer and the
next commits would wait until each had looked at the new events.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from contextvars import copy_context
from typing import Any, TypeVar

from application.background_tasks import stop
from application.event_store.chained_events import FoldedEvent
from application.event_store.reading import READING
from application.subscriptions.event_tail import EventTail

T = TypeVar("T")

DELAY = 0.004
"""Seconds from a commit until the first page is woken. The commit is answered by then."""
AT_ONCE = 2
PAUSE = 0.001
"""Seconds after each few pages. What else there is to do goes first."""
PATIENCE = 10
"""For how many pauses at most a few pages wait while there are commands to carry out."""


class Shared:
    """What was made for one page and serves others too, for as long as it is among the latest."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._made: dict[Hashable, Any] = {}

    def get(self, key: Hashable) -> Any:
        """Return what was made, None if there is nothing."""
        return self._made.get(key)

    def put(self, key: Hashable, made: T) -> T:
        """Keep and return what was made."""
        if len(self._made) >= self._most:
            del self._made[next(iter(self._made))]
        self._made[key] = made
        return made

    async def once(self, key: Hashable, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what ``read`` returns, which is run once for all. A failure is not kept."""
        reading: asyncio.Task[T] | None = self.get(key)
        if reading is None:
            # It is nobody's own reading, because it may outlast who began it.
            context = copy_context()
            context.run(READING.set, None)
            reading = self.put(key, asyncio.create_task(read(), context=context))
        try:
            return await asyncio.shield(reading)
        except Exception:
            if self._made.get(key) is reading:
                del self._made[key]
            raise


class Fanout:
    """The pages that wait for events. Use it on one event loop.

    ``busy`` says whether there are commands to carry out.
    """

    def __init__(self, tail: EventTail, busy: Callable[[], bool] = lambda: False) -> None:
        self._tail = tail
        self._busy = busy
        self.shared = Shared()
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._came = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to wake pages."""
        self._tail.add_listener(self._note)
        self._tasks = [asyncio.create_task(self._wake_for_ever(), name="placet-fanout")]

    async def close(self) -> None:
        """Stop. Pages that wait are not woken any more."""
        await stop(self._tasks)

    async def wait(self, position: int, seconds: float) -> None:
        """Wait until there are events after a position, and for at most so many seconds."""
        if position < self._tail.position:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            await asyncio.wait({future}, timeout=seconds)
        finally:
            self._waiting.pop(future, None)

    def _note(self, _: Sequence[FoldedEvent]) -> None:
        self._came.set()

    async def _wake_for_ever(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            await asyncio.sleep(DELAY)
            for number, future in enumerate(tuple(self._waiting), 1):
                if not future.done():
                    future.set_result(None)
                if not number % AT_ONCE:
                    await self._pause()

    async def _pause(self) -> None:
        for _ in range(PATIENCE):
            await asyncio.sleep(PAUSE)
            if not self._busy():
                return
