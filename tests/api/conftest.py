from collections.abc import AsyncIterator

import pytest

from tests.api.schema_server import Desk
from tests.api.whole_server import Edge


@pytest.fixture
async def desk(log_url: str) -> AsyncIterator[Desk]:
    """Give a server without its edge, on a fresh log."""
    async with Desk.open(log_url) as desk:
        yield desk


@pytest.fixture
async def edge(log_url: str) -> AsyncIterator[Edge]:
    """Give a whole server on a fresh database."""
    async with Edge.open(log_url) as edge:
        yield edge
