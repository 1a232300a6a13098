"""The state cache: the latest known heads of the executions used last."""

from collections import OrderedDict
from threading import Lock
from uuid import UUID

from application.event_store.recorded import Head

# What a state takes in memory: about so many times the bytes of its events, and this beside them.
WEIGHT = 8
OVERHEAD = 2_000


class StateCache:
    """Keeps the heads used last, one for each execution, up to ``limit`` bytes of memory, about.

    Any thread may use it. A head may be behind the log, if another process wrote: whoever needs the
    present asks the log for what came after its version.
    """

    def __init__(self, limit: int = 256 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._lock = Lock()
        # By the ids' numbers: the library hashes and compares ids in Python.
        self._heads: OrderedDict[int, Head] = OrderedDict()

    def get(self, execution_id: UUID) -> Head | None:
        """Give the latest head known, or None if it is not in the cache."""
        with self._lock:
            head = self._heads.get(execution_id.int)
            if head is not None:
                self._heads.move_to_end(execution_id.int)
            return head

    def put(self, head: Head) -> None:
        """Keep a head, unless a later one of its execution is kept already.

        Beyond the limit, what was used least lately is dropped, but never all.
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
        """Forget one head."""
        with self._lock:
            dropped = self._heads.pop(execution_id.int, None)
            if dropped is not None:
                self._size -= _cost(dropped)

    def clear(self) -> None:
        """Forget everything: the log may not be the one that it was."""
        with self._lock:
            self._heads.clear()
            self._size = 0


def _cost(head: Head) -> int:
    return head.size * WEIGHT + OVERHEAD
