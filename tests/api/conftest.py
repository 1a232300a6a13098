from collections.abc import AsyncIterator

import pytest

from application.tables import create_tables
from tests.api.desk import Desk
from tests.api.edge import Edge


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """Give a server without its edge, on a fresh log."""
    create_tables(database_url)
    async with Desk.open(database_url) as desk:
        yield desk


@pytest.fixture
async def edge(database_url: str) -> AsyncIterator[Edge]:
    """Give a whole server on a fresh database."""
    async with Edge.open(database_url) as edge:
        yield edge
