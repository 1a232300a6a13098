"""The pool for reads: what is handed out is alive, and costs no way to the database."""

from pathlib import Path

import psycopg

from api.settings import Settings
from api.storage import reading_pool

ONE = Settings(pool_min=1, pool_max=1)


async def test_a_connection_that_the_database_ended_is_not_handed_out(database_url: str) -> None:
    async with reading_pool(database_url, ONE) as pool:
        async with pool.connection() as connection:
            ended = connection.info.backend_pid
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [ended])

        async with pool.connection() as connection:
            [row] = await (await connection.execute("SELECT pg_backend_pid()")).fetchall()
            assert row[0] != ended


async def test_a_connection_that_is_alive_is_handed_out_without_asking_the_database(
    database_url: str, tmp_path: Path
) -> None:
    sent = tmp_path / "sent"
    with sent.open("w") as trace:
        async with reading_pool(database_url, ONE) as pool:
            async with pool.connection() as connection:
                connection.pgconn.trace(trace.fileno())
            async with pool.connection() as connection:
                assert sent.read_text() == ""
                await connection.execute("SELECT 1")
                assert "SELECT 1" in sent.read_text()
                connection.pgconn.untrace()
