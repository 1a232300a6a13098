from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from placet import Client
from tests.sdk.engines import Made, maker
from tests.sdk.peer import Peer, serving
from tests.sdk.people import People, Server


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with serving(Peer()) as served:
        yield served


@pytest.fixture
async def client(peer: Peer) -> AsyncIterator[Client]:
    async with Client(peer.url, "a-token", retry_for=5.0) as connected:
        yield connected


@pytest.fixture
def engine(server: Server) -> Made:
    return maker(server)


@pytest.fixture
async def people(server: Server) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:
        yield People(server, stack)
