"""The statements of all page queries: rows and position together, and a count."""

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg_pool import AsyncConnectionPool

from application.event_store.reading import DECODED, charge
from projections.querying.checkpoints import Checkpoints
from projections.querying.keyset_pages import BehindError
from projections.querying.where_clause import WhereClause

COUNTED = 10_000
PAGE_BYTES = 1024 * 1024
"""Bytes of stored rows after which a page ends. It has one row at least."""

Pool = AsyncConnectionPool[AsyncConnection[Any]]


class PageQuery:
    """Queries of one read model. In all conditions, its table has the alias ``item``."""

    def __init__(
        self, name: LiteralString, version: int, pool: Pool, checkpoints: Checkpoints | None
    ) -> None:
        self._name = name
        self._version = version
        self._pool = pool
        self._checkpoints = checkpoints or Checkpoints()

    async def rows(
        self,
        conditions: WhereClause,
        keys: Sequence[str],
        *,
        descending: bool,
        limit: int,
        at_least: int | None,
    ) -> tuple[int, list[bytes], bool]:
        """Return the position of the read model, and the bodies of up to ``limit`` rows in order.

        There are fewer if they are large: then the last value is true. One statement reads both, so
        the rows reflect exactly that position. Raises BehindError if the read model does not reach
        ``at_least`` in time.
        """
        if at_least is not None:
            await self._checkpoints.wait(self._pool, self._name, at_least)
        direction = SQL("DESC" if descending else "ASC")
        order = SQL(", ").join(SQL("{} {}").format(Identifier(key), direction) for key in keys)
        page_order = SQL(", ").join(
            SQL("{} {}").format(Identifier("page", key), direction) for key in keys
        )
        columns = SQL(", ").join(Identifier("item", key) for key in keys)
        limited = SQL(" ORDER BY {} LIMIT {}").format(order, Literal(limit))
        select = SQL("SELECT item.body, {} FROM {} AS item{} WHERE ").format(
            columns, Identifier(self._name), SQL("").join(conditions.joins)
        )
        branches = [SQL("({}{}{})").format(select, where, limited) for where in conditions.each()]
        # The sizes are read without the rows themselves, so only those of the page are loaded.
        statement = SQL(
            "SELECT checkpoint.position,"
            " CASE WHEN page.so_far - octet_length(page.body) < {} THEN page.body END,"
            " page.so_far IS NOT NULL"
            " FROM projection_positions AS checkpoint"
            " LEFT JOIN (SELECT *, sum(octet_length(body)) OVER (ORDER BY {} ROWS UNBOUNDED"
            " PRECEDING) AS so_far FROM (SELECT * FROM ({}) AS branches {}) AS limited) AS page"
            " ON true WHERE checkpoint.name = {} AND checkpoint.version = {} ORDER BY {}"
        ).format(
            Literal(PAGE_BYTES),
            order,
            SQL(" UNION ALL ").join(branches),
            limited,
            Literal(self._name),
            Literal(self._version),
            page_order,
        )
        found = await self._fetch(statement, conditions.params)
        if not found:
            raise self._unusable()
        position: int = found[0][0]
        if at_least is not None and position < at_least:
            msg = f"{self._name} went back to position {position}; the database has lost commits"
            raise BehindError(msg)
        bodies = [body for _, body, _ in found if body is not None]
        charge(DECODED * sum(map(len, bodies)))
        return position, bodies, len(bodies) < sum(there for *_, there in found)

    async def count(self, conditions: WhereClause) -> int | None:
        """Count the rows. None if there are more than 10,000."""
        limited = SQL(" LIMIT {}").format(Literal(COUNTED + 1))
        branches = [
            SQL("(SELECT 1 FROM {} AS item{} WHERE {}{})").format(
                Identifier(self._name), SQL("").join(conditions.joins), where, limited
            )
            for where in conditions.each()
        ]
        statement = SQL(
            "SELECT stands.version, (SELECT count(*) FROM (SELECT 1 FROM ({}) AS branches{})"
            " AS found) FROM projection_positions AS stands"
            " WHERE stands.name = {} AND stands.version = {}"
        ).format(
            SQL(" UNION ALL ").join(branches), limited, Literal(self._name), Literal(self._version)
        )
        found = await self._fetch(statement, conditions.params)
        if not found:
            raise self._unusable()
        [(_, number)] = found
        return None if number > COUNTED else number

    async def holds(self, condition: LiteralString, params: dict[str, Any]) -> bool:
        """Evaluate a condition on parameters alone in the database."""
        [(answer,)] = await self._fetch(SQL("SELECT {}").format(SQL(condition)), params)
        return bool(answer)

    def _unusable(self) -> BehindError:
        return BehindError(
            f"the read model {self._name!r} is missing or has the tables of another version of"
            " this program; run: placet-server migrate, and placet-server rebuild if it asks for it"
        )

    async def _fetch(self, statement: Composed, params: dict[str, Any]) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            # Not prepared, because a good plan depends on the values.
            try:
                cursor = await connection.execute(statement, params, prepare=False)
            except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
                # Another version of this program has rebuilt the tables.
                raise self._unusable() from error
            return await cursor.fetchall()
