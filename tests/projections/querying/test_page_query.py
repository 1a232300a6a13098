"""Queries of a read model read only the tables of their own version."""

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from domain.values import Principal, Role
from projections.executions.query import ExecutionFilter, ExecutionQuery
from projections.querying.keyset_pages import BehindError
from tests.domain.facts import started
from tests.projections.event_log import EventLog
from tests.projections.tables import project

AUDREY = Principal(id="audrey", name="Audrey", roles=frozenset({Role.AUDITOR}))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE projection_positions SET version = version + 1 WHERE name = 'executions'",
        "DELETE FROM projection_positions WHERE name = 'executions'",
        "ALTER TABLE executions RENAME COLUMN started_at TO began_at",
        "DROP TABLE executions",
    ],
    ids=["newer", "missing", "other columns", "no table"],
)
async def test_tables_of_another_version_are_not_read(event_log: EventLog, change: str) -> None:
    event_log.append(started())
    project(event_log.url)
    with psycopg.connect(event_log.url) as connection:
        connection.execute(change)
    pool = AsyncConnectionPool[AsyncConnection](event_log.url, open=False, min_size=1)
    async with pool:
        query = ExecutionQuery(pool)
        with pytest.raises(BehindError, match="placet-server"):
            await query.page(AUDREY, ExecutionFilter(), first=10)
        if "COLUMN" not in change:
            with pytest.raises(BehindError, match="placet-server"):
                await query.count(AUDREY, ExecutionFilter())
