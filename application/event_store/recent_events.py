"""What was appended to the log lately, with the state after each event, in memory.

One ring for all who follow the log in this process: subscriptions, the dispatcher, the process
managers and the projector. Whoever falls behind it reads the log.
"""

from collections import deque
from collections.abc import Sequence
from threading import Lock

from application.event_store.recorded import FoldedEvent, Head, LoggedEvent, advance
from application.event_store.state_cache import StateCache

LIMIT = 1024 * 1024
"""Bytes of events that are kept."""


class RecentEvents:
    """Filled in the order of the log and without a gap. Any thread may read it.

    ``position`` and ``hash`` are those of the last event appended, and ``limit`` the bytes of
    events that are kept; what was appended last is kept whatever its size. ``states`` has the
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
        # By the ids' numbers: the library hashes and compares ids in Python.
        self._by_version: dict[tuple[int, int], FoldedEvent] = {}
        # All events after this position, up to ``position``, are here.
        self._complete_after = 0

    def begin(self, position: int, hash_: str = "") -> None:
        """Begin after a position of the log, whose event has this hash; "" if there is none."""
        with self._lock:
            self._clear()
            self.position = self._complete_after = position
            self.hash = hash_

    def append(self, entries: Sequence[FoldedEvent]) -> None:
        """Take the events that come next in the log, at least one."""
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
        """Forget all events and states: the database may be another one, which lacks some."""
        with self._lock:
            self._clear()
            self._complete_after = self.position
        self.states.clear()

    def after(self, position: int, *, limit: int | None = None) -> list[FoldedEvent] | None:
        """Give up to ``limit`` events after a position, in order; None if some are not here."""
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

    def head_after(self, event: LoggedEvent) -> Head | None:
        """Give the head right after an event, None if the log has to be read for it.

        Raises what :func:`application.event_store.recorded.advance` does.
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
            # The database that took over has lost commits, and with them what was seen of it.
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
        """Give the head right before an event; None if there is none, or the log has to be read."""
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
