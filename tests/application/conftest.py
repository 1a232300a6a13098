"""A server process on a fresh database."""

from collections.abc import AsyncIterator

import pytest

from tests.application.server_process import ServerProcess


@pytest.fixture
async def process(log_url: str) -> AsyncIterator[ServerProcess]:
    """A server process without GraphQL, on a fresh database."""
    async with ServerProcess.open(log_url) as process:
        yield process
