from collections.abc import AsyncIterator

import pytest

from tests.api.schema_server import Desk
from tests.api.whole_server import Edge


@pytest.fixture(params=[True, False], ids=["fast", "slow"])
async def desk(log_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    """Give a server without its edge, on a fresh log, with the fast path and without it."""
    async with Desk.open(log_url, fast=request.param) as desk:
        yield desk


@pytest.fixture
async def edge(log_url: str) -> AsyncIterator[Edge]:
    """Give a whole server on a fresh database."""
    async with Edge.open(log_url) as edge:
        yield edge
