"""The state cache: the heads of executions used lately."""

from collections import OrderedDict
from threading import Lock
from uuid import UUID

from application.records import Head

# What a small state takes beside the bytes of its events.
OVERHEAD = 2_000


class HeadCache:
    """Keeps the heads used last, and of each execution the one with the highest version.

    ``limit`` is in bytes, about. Shared by the writer's thread and the readers. A head in it may
    be behind the log, if another process wrote; whoever needs the present asks the log for what
    came after its version.
    """

    def __init__(self, limit: int = 256 * 1024 * 1024) -> None:
        self._limit = limit
        self._size = 0
        self._heads: OrderedDict[UUID, Head] = OrderedDict()
        self._lock = Lock()

    def get(self, execution_id: UUID) -> Head | None:
        """Give the head, or None if it is not in the cache."""
        with self._lock:
            head = self._heads.get(execution_id)
            if head is not None:
                self._heads.move_to_end(execution_id)
            return head

    def put(self, head: Head) -> None:
        """Keep a head, unless a later one is kept already."""
        with self._lock:
            kept = self._heads.get(head.id)
            if kept is None or kept.version < head.version:
                self._size += head.size + OVERHEAD
                if kept is not None:
                    self._size -= kept.size + OVERHEAD
                self._heads[head.id] = head
            self._heads.move_to_end(head.id)
            while self._size > self._limit and len(self._heads) > 1:
                _, dropped = self._heads.popitem(last=False)
                self._size -= dropped.size + OVERHEAD
