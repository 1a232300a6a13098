"""Several statements see one state of the database."""

from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from projections.querying.snapshot import snapshot

COUNT = "SELECT count(*) FROM console_views"
INSERT = (
    "INSERT INTO console_views (person, place, name, address) VALUES ('ann', 'inbox', 'a', '/')"
)


async def test_what_others_commit_meanwhile_is_seen_by_no_statement(log_url: str) -> None:
    pool: AsyncConnectionPool[AsyncConnection[Any]]
    async with AsyncConnectionPool(log_url, kwargs={"autocommit": True}, open=False) as pool:
        async with snapshot(pool) as connection:
            before = await (await connection.execute(COUNT)).fetchone()
            with psycopg.connect(log_url, autocommit=True) as other:
                other.execute(INSERT)
            after = await (await connection.execute(COUNT)).fetchone()
            assert before == after == (0,)
        async with snapshot(pool) as connection:
            assert await (await connection.execute(COUNT)).fetchone() == (1,)
