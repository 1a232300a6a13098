"""The state cache: the heads of executions used lately, as they stand and as they were."""

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar
from uuid import UUID

from application.event_store.recorded import Head

K = TypeVar("K")

# What a state takes in memory: about so many times the bytes of its events, and this beside them.
WEIGHT = 8
OVERHEAD = 2_000


class StateCache:
    """Keeps the heads used last: of each execution the latest known, and some of its past.

    ``limit`` is in bytes of memory, about; a thirty-second of it is for the past, which is asked
    for by those who follow the log, shortly after it was the present. Shared by the writer, the
    readers and the projector, some of which are threads. The latest head may be behind the log, if
    another process wrote; whoever needs the present asks the log for what came after its version.
    """

    def __init__(self, limit: int = 256 * 1024 * 1024) -> None:
        self._lock = Lock()
        # By the ids' numbers: the library hashes and compares ids in Python.
        self._latest: _Bounded[int] = _Bounded(limit - limit // 32)
        self._past: _Bounded[tuple[int, int]] = _Bounded(limit // 32)

    def get(self, execution_id: UUID) -> Head | None:
        """Give the latest head known, or None if it is not in the cache."""
        with self._lock:
            return self._latest.get(execution_id.int)

    def at(self, execution_id: UUID, version: int) -> Head | None:
        """Give the head of a version, or None if it is not in the cache."""
        with self._lock:
            latest = self._latest.get(execution_id.int)
            if latest is not None and latest.version == version:
                return latest
            return self._past.get((execution_id.int, version))

    def put(self, head: Head) -> None:
        """Keep a head as the latest, unless a later one is kept already."""
        with self._lock:
            kept = self._latest.get(head.id.int)
            if kept is None or kept.version < head.version:
                self._latest.put(head.id.int, head)

    def put_past(self, head: Head) -> None:
        """Keep a head under its version."""
        with self._lock:
            self._past.put((head.id.int, head.version), head)

    def clear(self) -> None:
        """Forget everything: the log may not be the one that it was."""
        with self._lock:
            self._latest.clear()
            self._past.clear()


class _Bounded(Generic[K]):
    """Drops what was used least lately beyond ``limit`` bytes, but never all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._heads: OrderedDict[K, Head] = OrderedDict()

    def get(self, key: K) -> Head | None:
        head = self._heads.get(key)
        if head is not None:
            self._heads.move_to_end(key)
        return head

    def put(self, key: K, head: Head) -> None:
        replaced = self._heads.pop(key, None)
        if replaced is not None:
            self._size -= _cost(replaced)
        self._heads[key] = head
        self._size += _cost(head)
        while self._size > self._limit and len(self._heads) > 1:
            _, dropped = self._heads.popitem(last=False)
            self._size -= _cost(dropped)

    def clear(self) -> None:
        self._heads.clear()
        self._size = 0


def _cost(head: Head) -> int:
    return head.size * WEIGHT + OVERHEAD
