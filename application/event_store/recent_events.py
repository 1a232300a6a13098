"""The latest events of the log in memory, with the state after each of them.

Everything that follows the log in this process shares this ring buffer: subscriptions, the
dispatcher, the process managers and the projector. A follower that is behind it reads the log.
"""

from collections import deque
from collections.abc import Sequence
from threading import Lock

from application.event_store.chained_events import FoldedEvent, Head, LoggedEvent, advance
from application.event_store.state_cache import StateCache

LIMIT = 1024 * 1024
"""How many bytes of events are kept."""


class RecentEvents:
    """Events in the order of the log, without a gap. Any thread may read them.

    ``position`` and ``hash`` are those of the last event. ``limit`` is how many bytes of events are
    kept. The events of the last :meth:`append` are kept whatever their size. ``states`` has the
    latest heads.
    """

    def __init__(self, states: StateCache | None = None, *, limit: int = LIMIT) -> None:
        self.position = 0
        self.hash = ""
        self.states = states or StateCache()
        self._limit = limit
        self._size = 0
        self._lock = Lock()
        self._entries: deque[FoldedEvent] = deque()
        # The keys have the integers of the ids: uuid.UUID hashes and compares in Python code.
        self._by_version: dict[tuple[int, int], FoldedEvent] = {}
        # All events after this position, up to ``position``, are in the ring.
        self._complete_after = 0

    def begin(self, position: int, hash_: str = "") -> None:
        """Clear the ring, and continue after the event at a position of the log.

        ``hash_`` is the hash of that event, "" if the log is empty.
        """
        with self._lock:
            self._clear()
            self.position = self._complete_after = position
            self.hash = hash_

    def append(self, entries: Sequence[FoldedEvent]) -> None:
        """Add the next events of the log, at least one."""
        with self._lock:
            for entry in entries:
                event = entry.event
                self._entries.append(entry)
                self._by_version[event.recorded.execution_id.int, event.recorded.version] = entry
                self._size += len(event.stored)
            self.position = entries[-1].event.position
            self.hash = entries[-1].event.hash
            while self._size > self._limit and len(self._entries) > len(entries):
                self._drop_first()

    def forget(self) -> None:
        """Drop all events and states, because another database may lack some of the events."""
        with self._lock:
            self._clear()
            self._complete_after = self.position
        self.states.clear()

    def after(self, position: int, *, limit: int | None = None) -> list[FoldedEvent] | None:
        """Return up to ``limit`` events after a position, None if some are not in the ring."""
        with self._lock:
            if position < self._complete_after:
                return None
            found: list[FoldedEvent] = []
            for entry in reversed(self._entries):
                if entry.event.position <= position:
                    break
                found.append(entry)
        found.reverse()
        return found if limit is None else found[:limit]

    def hash_at(self, position: int) -> str | None:
        """Return the hash of the event at a position, None if it is not in the ring."""
        with self._lock:
            if position == self.position:
                return self.hash or None
            for entry in reversed(self._entries):
                if entry.event.position <= position:
                    return entry.event.hash if entry.event.position == position else None
        return None

    def head_after(self, event: LoggedEvent) -> Head | None:
        """Return the head right after an event, None if it must be read from the log.

        Raises the errors of :func:`application.event_store.chained_events.advance`.
        """
        execution_id, version = event.recorded.execution_id, event.recorded.version
        with self._lock:
            entry = self._by_version.get((execution_id.int, version))
        head = self.states.get(execution_id)
        if entry is not None and entry.head is not None:
            found: Head | None = entry.head
        else:
            found = head if head is not None and head.version == version else None
        if found is not None and found.hash == event.hash:
            return found
        if found is not None:
            # The database was replaced by one that lacks commits, so this head is not in its log.
            self.forget()
            entry = None
        before = self.head_before(event)
        if before is None and version > 1:
            return None
        found = advance(before, event)
        if entry is not None:
            entry.head = found
        self.states.put(found)
        return found

    def head_before(self, event: LoggedEvent) -> Head | None:
        """Return the head right before an event, None if there is none or it is not in memory."""
        execution_id, version = event.recorded.execution_id, event.recorded.version - 1
        with self._lock:
            entry = self._by_version.get((execution_id.int, version))
        if entry is not None and entry.head is not None:
            return entry.head
        head = self.states.get(execution_id)
        return head if head is not None and head.version == version else None

    def _drop_first(self) -> None:
        dropped = self._entries.popleft().event
        self._by_version.pop((dropped.recorded.execution_id.int, dropped.recorded.version), None)
        self._size -= len(dropped.stored)
        self._complete_after = dropped.position

    def _clear(self) -> None:
        self._entries.clear()
        self._by_version.clear()
        self._size = 0
