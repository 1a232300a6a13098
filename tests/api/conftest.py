from collections.abc import AsyncIterator

import pytest

from tests.api.graphql_client import GraphQLClient
from tests.api.whole_server import WholeServer


@pytest.fixture(params=[True, False], ids=["fast", "slow"])
async def client(log_url: str, request: pytest.FixtureRequest) -> AsyncIterator[GraphQLClient]:
    """A client of the schema, on a fresh database, without HTTP; with and without the fast path."""
    async with GraphQLClient.open(log_url, fast=request.param) as client:
        yield client


@pytest.fixture
async def whole_server(log_url: str) -> AsyncIterator[WholeServer]:
    """A whole server on a fresh database."""
    async with WholeServer.open(log_url) as whole_server:
        yield whole_server
