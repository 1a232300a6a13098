"""The state cache: the heads of executions used lately."""

from collections import OrderedDict
from threading import Lock
from uuid import UUID

from application.records import Head


class HeadCache:
    """Keeps the ``size`` heads used last, and of each the one with the highest version.

    Shared by the writer's thread and the readers. A head in it may be behind the log, if another
    process wrote; whoever needs the present asks the log for what came after its version.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
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
                self._heads[head.id] = head
            self._heads.move_to_end(head.id)
            if len(self._heads) > self._size:
                self._heads.popitem(last=False)
