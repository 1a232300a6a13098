"""Several statements that see one state of the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection

from projections.querying.page_query import Pool


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[AsyncConnection[Any]]:
    """Lend a connection whose statements all see what the first of them saw.

    Otherwise an approval could be counted as waiting by one statement and as decided by the next.
    """
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection
