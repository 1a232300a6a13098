"""Measures how many events, and for how long, the read models are behind the log."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from psycopg import Connection

from projections.querying.sql_files import statements
from projections.runtime.metrics import LAG_EVENTS, LAG_SECONDS

_END = statements("projections.runtime", "log.sql")["end"]
_INTERVAL = 0.25


class _Mark(NamedTuple):
    end: int
    seen: float


class LagMonitor:
    """Reads the end of the log regularly, and notes when it first saw each end."""

    def __init__(self, names: Iterable[str]) -> None:
        self.events = dict.fromkeys(names, 0)
        self.seconds = dict.fromkeys(self.events, 0.0)
        self._marks: dict[str, _Mark] = {}
        self.looked_at = time.monotonic() - _INTERVAL

    def observe(
        self, connection: Connection[Any], positions: Mapping[str, int], *, busy: bool = False
    ) -> dict[str, int]:
        """Measure the lag of the read models. While ``busy``, at most four times a second."""
        now = time.monotonic()
        if busy and now - self.looked_at < _INTERVAL:
            return self.events
        self.looked_at = now
        cursor = connection.execute(_END, prepare=True)
        end = next(iter(cursor))[0]
        for name, position in positions.items():
            mark = self._marks.get(name)
            if mark is None or position >= mark.end:
                mark = self._marks[name] = _Mark(end, now)
            self.events[name] = max(end - position, 0)
            LAG_EVENTS.labels(name).set(self.events[name])
            self.seconds[name] = 0.0 if position >= mark.end else now - mark.seen
            LAG_SECONDS.labels(name).set(self.seconds[name])
        return self.events
