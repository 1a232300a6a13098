"""What was appended to the log lately, in memory: it need not be read and folded again."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from threading import Lock
from typing import Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from domain.execution.events import Recorded
from domain.execution.state import Execution

LIMIT = 1024 * 1024
"""Bytes of events that are kept. Who falls further behind reads the log."""


class Told(Protocol):
    """An event of the log."""

    @property
    def position(self) -> int:
        """Its position."""

    @property
    def recorded(self) -> Recorded:
        """The event, decoded."""

    @property
    def stored(self) -> bytes:
        """The event as it lies in the log."""


E = TypeVar("E", bound=Told)


class Known(NamedTuple):
    """An event that was told. ``state`` gives the state after it, None if that is not at hand."""

    position: int
    recorded: Recorded
    state: Callable[[], Execution | None]

    @property
    def execution_id(self) -> UUID:
        """The execution's id."""
        return self.recorded.execution_id

    @property
    def version(self) -> int:
        """The version of the execution that the event makes."""
        return self.recorded.version

    def read(self) -> tuple[Recorded, Execution | None]:
        """Give the event and the state after it, None if that has to be folded."""
        return self.recorded, self.state()


class Inbox(Generic[E]):
    """Filled in the order of the log and without a gap, in one thread, and emptied in another.

    ``state_after`` gives the state right after an event, None if it is not at hand, and may raise
    what folding raises.
    """

    def __init__(self, state_after: Callable[[E], Execution | None], *, limit: int = LIMIT) -> None:
        self._state_after = state_after
        self._limit = limit
        self._size = 0
        self._lock = Lock()
        self._events: deque[E] = deque()
        # All that came after this position is here.
        self._complete_after: int | None = None

    def put(self, events: Sequence[E]) -> None:
        """Take the events that come next in the log, at least one."""
        with self._lock:
            if self._complete_after is None:
                self._complete_after = events[0].position
                events = events[1:]
            self._events.extend(events)
            self._size += sum(len(event.stored) for event in events)
            if self._size > self._limit:
                self._complete_after = self._events[-1].position
                self._clear()

    def forget(self) -> None:
        """Forget everything: the log may not have it."""
        with self._lock:
            self._complete_after = None
            self._clear()

    def after(self, position: int, *, limit: int) -> list[Known]:
        """Give up to ``limit`` events that follow a position; none if only the log has all of them.

        What came up to there is forgotten.
        """
        with self._lock:
            while self._events and self._events[0].position <= position:
                passed = self._events.popleft()
                self._size -= len(passed.stored)
                self._complete_after = passed.position
            if self._complete_after is None or position < self._complete_after:
                return []
            events = list(islice(self._events, limit))
        return [Known(e.position, e.recorded, partial(self._state_after, e)) for e in events]

    def _clear(self) -> None:
        self._events.clear()
        self._size = 0
