from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from tests.projections.event_log import EventLog


@pytest.fixture
def event_log(log_url: str) -> EventLog:
    return EventLog(log_url)


@pytest.fixture
async def pool(event_log: EventLog) -> AsyncIterator[AsyncConnectionPool[AsyncConnection[Any]]]:
    async with AsyncConnectionPool(
        event_log.url, min_size=1, max_size=4, open=False, kwargs={"autocommit": True}
    ) as opened:
        yield opened
