"""The pool for reads gives only working connections, without a query for each check."""

from typing import Any

import psycopg
from psycopg import AsyncConnection

from api.database import reading_pool
from api.settings import Settings

ONE = Settings(pool_min=1, pool_max=1)
_ASKED_LAST = "SELECT state_change FROM pg_stat_activity WHERE pid = %s"


async def _pid(connection: AsyncConnection[Any]) -> int:
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_connection_that_the_database_ended_is_not_handed_out(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        async with reading_pool(database_url, ONE) as pool:
            async with pool.connection() as connection:
                ended = await _pid(connection)
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [ended])

            async with pool.connection() as connection:
                assert await _pid(connection) != ended


async def test_a_connection_that_is_alive_is_handed_out_without_asking_the_database(
    database_url: str,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        async with reading_pool(database_url, ONE) as pool:
            async with pool.connection() as connection:
                pid = await _pid(connection)
            before = other.execute(_ASKED_LAST, [pid]).fetchone()

            async with pool.connection() as connection:
                assert other.execute(_ASKED_LAST, [pid]).fetchone() == before
                assert await _pid(connection) == pid
                assert other.execute(_ASKED_LAST, [pid]).fetchone() != before
