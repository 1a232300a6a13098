"""A server process on a fresh database."""

from collections.abc import AsyncIterator

import pytest

from tests.application.server_process import ServerProcess
from tests.support.audit import findings


@pytest.fixture
async def process(log_url: str, request: pytest.FixtureRequest) -> AsyncIterator[ServerProcess]:
    """A server process without GraphQL, on a fresh database, which the audit reads at the end."""
    async with ServerProcess.open(log_url) as process:
        yield process
    if request.node.get_closest_marker("unsound") is None:
        assert findings(log_url) == []
