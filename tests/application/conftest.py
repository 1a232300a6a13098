"""An office that works on a fresh log."""

from collections.abc import AsyncIterator

import pytest

from tests.application.services import Office


@pytest.fixture
async def office(log_url: str) -> AsyncIterator[Office]:
    """Give a process that works on a fresh log."""
    async with Office.open(log_url) as office:
        yield office
