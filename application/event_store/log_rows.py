"""Statements on the log, for all that read from it."""

from collections.abc import Mapping
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Composed
from psycopg_pool import AsyncConnectionPool

from application.event_store.chained_events import (
    Head,
    LoggedEvent,
    logged,
)
from application.event_store.head_loader import LATEST, Loaded, Statement, load_heads, run
from application.event_store.reading import SharedPool, charge


def _free(_: int) -> None:
    """Count nothing."""


class LogRows:
    """Reads rows. ``charge`` counts bytes that were read for a client.

    Raises psycopg errors or PoolTimeout if the database is unavailable.
    """

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        # What the server reads for itself and for workers is not limited.
        self.charge = charge if isinstance(pool, SharedPool) else _free

    async def load_one(self, execution_id: UUID, version: int = LATEST) -> Head | None:
        """Return the head of an execution at a version, by default the latest.

        Raises one of DAMAGE if an event can't be read.
        """
        head = (await self.load({execution_id: version})).get(execution_id)
        if isinstance(head, Exception):
            raise head
        return head

    async def load(self, upto: Mapping[UUID, int]) -> Loaded:
        """Return the heads of executions at these versions, or the errors of those with damage."""

        async def fetch(statement: Statement) -> list[DictRow]:
            rows = await self.rows(*statement)
            self.charge(sum(len(row["state"]) for row in rows))
            return rows

        return await run(load_heads(upto), fetch)

    async def history(self, execution_id: UUID, after: int, limit: int | None) -> list[LoggedEvent]:
        """Return the events of an execution after a version, in order; None: all."""
        statement = SQL(
            "SELECT * FROM execution_events WHERE originator_id = %s AND originator_version > %s"
            " ORDER BY originator_version LIMIT %s"
        )
        rows = await self.rows(statement, [execution_id, after, limit])
        return [logged(row) for row in rows]

    async def rows(
        self, statement: LiteralString | SQL | Composed, params: list[Any] | dict[str, Any]
    ) -> list[DictRow]:
        """Execute a statement, and return its rows."""
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, params, prepare=True)
            return await cursor.fetchall()
