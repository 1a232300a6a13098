"""Transactions that wait for each other, such as those that count before they add."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/placet/' || %s, 0))"


@asynccontextmanager
async def one_at_a_time(
    pool: AsyncConnectionPool[AsyncConnection[Any]], what: str
) -> AsyncIterator[AsyncConnection[Any]]:
    """Lend a connection in a transaction, to one caller at a time among those of the same name.

    Raises psycopg errors, and PoolTimeout if no connection is free in time.
    """
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(_LOCK, [what])
        yield connection
