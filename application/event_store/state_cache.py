"""A cache of the latest known heads of executions."""

from collections import OrderedDict
from threading import Lock
from uuid import UUID

from application.event_store.chained_events import Head

# The memory of a state is roughly the bytes of its events times WEIGHT, plus OVERHEAD.
WEIGHT = 8
OVERHEAD = 2_000


class StateCache:
    """An LRU cache with one head for each execution, limited to roughly ``limit`` bytes of memory.

    Any thread may use it. If another process has written, a head may be behind the log. To get the
    current state, read the events after its version from the log.
    """

    def __init__(self, limit: int = 256 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._lock = Lock()
        # The keys are the integers of the ids: uuid.UUID hashes and compares in Python code.
        self._heads: OrderedDict[int, Head] = OrderedDict()

    def get(self, execution_id: UUID) -> Head | None:
        """Return the latest known head, None if it is not in the cache."""
        with self._lock:
            head = self._heads.get(execution_id.int)
            if head is not None:
                self._heads.move_to_end(execution_id.int)
            return head

    def put(self, head: Head) -> None:
        """Store a head, unless the cache has a later one of its execution.

        Beyond the limit, the least recently used heads are dropped. One head always stays.
        """
        key = head.id.int
        with self._lock:
            kept = self._heads.pop(key, None)
            if kept is not None:
                self._size -= _cost(kept)
                if kept.version >= head.version:
                    head = kept
            self._heads[key] = head
            self._size += _cost(head)
            while self._size > self._limit and len(self._heads) > 1:
                _, dropped = self._heads.popitem(last=False)
                self._size -= _cost(dropped)

    def drop(self, execution_id: UUID) -> None:
        """Drop one head."""
        with self._lock:
            dropped = self._heads.pop(execution_id.int, None)
            if dropped is not None:
                self._size -= _cost(dropped)

    def clear(self) -> None:
        """Drop all heads, because the log may be another one now."""
        with self._lock:
            self._heads.clear()
            self._size = 0


def _cost(head: Head) -> int:
    return head.size * WEIGHT + OVERHEAD
