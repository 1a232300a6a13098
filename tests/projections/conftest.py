from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from tests.projections.log import Log


@pytest.fixture
def log(log_url: str) -> Log:
    return Log(log_url)


@pytest.fixture
async def pool(log: Log) -> AsyncIterator[AsyncConnectionPool[AsyncConnection[Any]]]:
    async with AsyncConnectionPool(
        log.url, min_size=1, max_size=4, open=False, kwargs={"autocommit": True}
    ) as opened:
        yield opened
