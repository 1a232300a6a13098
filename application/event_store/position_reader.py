"""Which positions the log has, and the versions that executions have."""

from uuid import UUID

from psycopg.sql import SQL

from application.event_store.chained_events import (
    logged_or_unreadable,
)
from application.event_store.log_rows import LogRows
from application.event_store.positions import (
    LogPosition,
    PositionUnknownError,
    beyond,
    of_another_timeline,
)
from application.event_store.recent_events import RecentEvents


class PositionReader:
    """Reads positions. Raises psycopg errors or PoolTimeout if the database is unavailable."""

    def __init__(self, log: LogRows, recent: RecentEvents) -> None:
        self._log = log
        self._recent = recent

    async def check_position(self, position: LogPosition) -> None:
        """Raise PositionUnknownError if the log does not have a position.

        It ends before, or it has another event there.
        """
        number = position.number
        if number == 0 or (not position.mark and number <= self._recent.position):
            return
        recent = self._recent.hash_at(number)
        if recent is not None and position.names(recent):
            return
        if (hash_ := await self.hash_at(number)) is None:
            if number > (end := await self.last()):
                raise beyond(number, end)
            if position.mark:
                raise of_another_timeline(number)
        elif not position.names(hash_):
            raise of_another_timeline(number)

    async def check_version(self, execution_id: UUID, version: LogPosition) -> None:
        """Raise PositionUnknownError if an execution does not have a version.

        It has fewer, or another event there.
        """
        if version.number <= 0:
            return
        events = await self._log.history(execution_id, version.number - 1, 1)
        if not events:
            msg = f"{execution_id} has no version {version.number}; begin anew"
            raise PositionUnknownError(msg)
        if not version.names(events[0].hash):
            raise of_another_timeline(version.number)

    async def position_at(self, number: int) -> LogPosition:
        """Return a position of the log with the beginning of the hash of its event."""
        hash_ = self._recent.hash_at(number) or await self.hash_at(number)
        return LogPosition.of(number, hash_ or "")

    async def hash_at(self, position: int) -> str | None:
        """Read the hash of the event at a position, None if there is none."""
        statement = SQL("SELECT * FROM execution_events WHERE notification_id = %s")
        rows = await self._log.rows(statement, [position])
        return logged_or_unreadable(rows[0]).hash if rows else None

    async def end(self) -> tuple[int, str]:
        """Give the position and the hash of the log's last event; 0 and "" if there is none."""
        statement = SQL("SELECT * FROM execution_events ORDER BY notification_id DESC LIMIT 1")
        rows = await self._log.rows(statement, [])
        return (rows[0]["notification_id"], logged_or_unreadable(rows[0]).hash) if rows else (0, "")

    async def last(self) -> int:
        """Return the position of the last event in the log, 0 if the log is empty."""
        statement = SQL("SELECT coalesce(max(notification_id), 0) AS p FROM execution_events")
        [row] = await self._log.rows(statement, [])
        return int(row["p"])
