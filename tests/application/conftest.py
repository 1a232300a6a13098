"""A database with the log's tables, and an office that works on it."""

from collections.abc import AsyncIterator

import pytest

from application.tables import create_tables
from tests.application.office import Office


@pytest.fixture
def log_url(database_url: str) -> str:
    """Give a fresh database with the log's tables."""
    create_tables(database_url)
    return database_url


@pytest.fixture
async def office(log_url: str) -> AsyncIterator[Office]:
    """Give a process that works on a fresh log."""
    async with Office.open(log_url) as office:
        yield office
