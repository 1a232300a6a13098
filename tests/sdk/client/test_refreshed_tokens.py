"""Tokens of a provider end soon. A client gets the next ones, and what it does goes on."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from bench.stack import Stack
from placet import Client, Engine, EventFilter, Run
from placet.errors import Unauthenticated
from tests.api.identity.issuer_files import issuer_table, write
from tests.support.forked import stack
from tests.support.oidc_provider import RunningProvider
from tests.support.patience import HANGS

LIFETIME = 3
LONGER = 2 * LIFETIME + 0.5


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with RunningProvider.start(LIFETIME) as provider:
        yield provider


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: RunningProvider) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("refreshed")
    more = 'default_roles = ["OPERATOR", "ENGINE"]'
    table = issuer_table(provider.url, more=more).replace("clock_skew = 5", "clock_skew = 0")
    with stack(directory / "data", issuers=write(directory / "issuers.toml", table)) as running:
        yield running


class Tokens:
    """The tokens of one person, each of a login of its own."""

    def __init__(self, provider: RunningProvider, person: str) -> None:
        self._provider = provider
        self._person = person
        self.given: list[str] = []

    def __call__(self) -> str:
        self.given.append(self._provider.id_token(self._person))
        return self.given[-1]


async def events_of(client: Client, workflow: str, after: str) -> list[str]:
    """Return the types of the events after a position until the execution has completed."""
    types, where = [], EventFilter(workflow=[workflow])
    async with aclosing(client.events_stream(where, after=after)) as stream:
        async for message in stream:
            if message.event is not None:
                types.append(message.event.type)
                if types[-1] == "Completed":
                    break
    return types


async def test_a_stream_and_a_step_outlast_their_tokens(
    server: Stack, provider: RunningProvider
) -> None:
    tokens, done = Tokens(provider, "worker"), []
    engine = Engine(server.url, token=tokens)

    @engine.workflow
    async def slow(run: Run) -> str:
        async def work() -> str:
            await asyncio.sleep(LONGER)
            done.append("work")
            return "done"

        return await run.step(work)

    watching = Tokens(provider, "operator")
    async with asyncio.timeout(HANGS), Client(server.url, watching) as client, engine:
        earlier = await client.start("another")
        following = asyncio.create_task(events_of(client, "slow", earlier.position))
        started = await client.start("slow")
        assert started.execution is not None
        ended = await client.wait(started.execution.id)
        assert ended.result == "done"
        types = await following
    assert done == ["work"], "the step was done by one worker, once"
    assert min(len(tokens.given), len(watching.given)) >= 2
    assert types[0] == "Started"
    assert types[-1] == "Completed"
    assert len(types) == len(set(types))


async def test_a_connection_ends_with_its_token(server: Stack, provider: RunningProvider) -> None:
    token = provider.id_token("operator")
    async with asyncio.timeout(HANGS), Client(server.url, token) as client:
        await client.viewer()
        with pytest.raises(Unauthenticated):
            async for _ in client.events_stream():
                pass
