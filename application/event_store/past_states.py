"""Executions as they were at a version or a moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg.sql import SQL

from application.event_store.chained_events import (
    Head,
    LoggedEvent,
    logged,
)
from application.event_store.log_rows import LogRows
from application.event_store.recent_events import RecentEvents
from domain.execution.state import Execution


class PastStates:
    """Reads past states. Raises psycopg errors or PoolTimeout if the database is unavailable."""

    def __init__(self, log: LogRows, recent: RecentEvents) -> None:
        self._log = log
        self._recent = recent

    async def at_version(self, execution_id: UUID, version: int) -> Execution | None:
        """Return the state at a version, None if the execution has not reached it."""
        head = await self._head_at(execution_id, version)
        return None if head is None else head.execution

    async def at_moment(self, execution_id: UUID, as_of: datetime) -> Execution | None:
        """Return the state at a moment, None if the execution had not started.

        An event of exactly that moment is included. The times of an execution's events never
        decrease, so a binary search finds the last one.
        """
        low, high = 0, await self._last_version(execution_id)
        while low < high:
            middle = (low + high + 1) // 2
            [event] = await self._log.history(execution_id, middle - 1, 1)
            if event.recorded.at <= as_of:
                low = middle
            else:
                high = middle - 1
        return await self.at_version(execution_id, low) if low else None

    async def at_moment_of_each(
        self, execution_ids: Sequence[UUID], as_of: datetime
    ) -> dict[UUID, Execution]:
        """Return the states of executions at a moment, without those that had not started.

        The rest is as for :meth:`at_moment`. All are looked for at once, so there are as many round
        trips as for the longest one. Raises one of DAMAGE if an event can't be read.
        """
        low = dict.fromkeys(execution_ids, 0)
        high = await self._last_versions(execution_ids)
        while open_ := {
            id_: (low[id_] + high[id_] + 1) // 2 for id_ in high if low[id_] < high[id_]
        }:
            for event in await self._each_version(open_):
                id_, version = event.recorded.execution_id, event.recorded.version
                if event.recorded.at <= as_of:
                    low[id_] = version
                else:
                    high[id_] = version - 1
        found: dict[UUID, Execution] = {}
        for id_, head in (await self._log.load({id_: at for id_, at in low.items() if at})).items():
            if isinstance(head, Exception):
                raise head
            found[id_] = head.execution
        return found

    async def _head_at(self, execution_id: UUID, version: int) -> Head | None:
        if version < 1:
            return None
        head = self._recent.states.get(execution_id)
        if head is None or head.version != version:
            head = await self._log.load_one(execution_id, version)
        return head if head is not None and head.version == version else None

    async def _last_version(self, execution_id: UUID) -> int:
        statement = SQL(
            "SELECT coalesce(max(originator_version), 0) AS v FROM execution_events"
            " WHERE originator_id = %s"
        )
        [row] = await self._log.rows(statement, [execution_id])
        return int(row["v"])

    async def _last_versions(self, execution_ids: Sequence[UUID]) -> dict[UUID, int]:
        statement = SQL(
            "SELECT wanted.id, (SELECT max(originator_version) FROM execution_events"
            " WHERE originator_id = wanted.id) AS v FROM unnest(%s::uuid[]) AS wanted (id)"
        )
        rows = await self._log.rows(statement, [list(execution_ids)])
        return {row["id"]: row["v"] for row in rows if row["v"] is not None}

    async def _each_version(self, versions: Mapping[UUID, int]) -> list[LoggedEvent]:
        statement = SQL(
            "SELECT e.* FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (id, version)"
            " JOIN execution_events AS e"
            " ON (e.originator_id, e.originator_version) = (wanted.id, wanted.version)"
        )
        rows = await self._log.rows(statement, [list(versions), list(versions.values())])
        return [logged(row) for row in rows]
