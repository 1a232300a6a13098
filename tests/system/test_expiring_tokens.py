"""A token that expires while its WebSocket is open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import psycopg
import pytest

from bench.stack import Stack
from placet import Client, Engine, Run, errors, require
from placet.models.responses import RecordedEvent
from tests.sdk.people import People, until
from tests.support.patience import HANGS
from tests.system.conftest import Opened

FINANCE = require(1, group="finance")
SOON = timedelta(seconds=0.3)


@pytest.fixture
def server(open_server: Opened) -> Stack:
    return open_server()


@pytest.fixture
async def people(server: Stack) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:
        yield People(server, stack)


async def run_out(server: Stack, database: str, name: str, token: str) -> None:
    """Have a key expire soon, and wait until it has."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE api_keys SET expires_at = clock_timestamp() + %s WHERE name = %s",
            (SOON, name),
        )
    async with Client(server.url, token) as client:

        async def over() -> bool | None:
            try:
                await client.viewer()
            except errors.Unauthenticated:
                return True
            return None

        await until(over)


async def test_its_engine_ends_and_says_why_and_one_with_a_fresh_token_goes_on(
    server: Stack, database: str, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    token = server.create_token("short-lived", "ENGINE")
    begun: list[str] = []
    reached, goes_on = asyncio.Event(), asyncio.Event()

    def engine(token: str) -> Engine:
        made = Engine(
            server.url, token=token, lease=timedelta(seconds=1), drain=timedelta(seconds=0.1)
        )

        async def work() -> str:
            begun.append(made.worker)
            reached.set()
            await goes_on.wait()
            return made.worker

        @made.workflow
        async def waits(run: Run) -> str:
            await run.approval("Go on", payload=1, policy=FINANCE)
            return made.worker

        @made.workflow
        async def works(run: Run) -> str:
            return await run.step(work)

        return made

    one, other = engine(token), engine(server.tokens["engine"])
    serving = asyncio.create_task(one.serve())
    waiting, working = await people.start("waits"), await people.start("works")
    [approval] = await people.pending(waiting)
    async with asyncio.timeout(HANGS):
        await reached.wait()
    await run_out(server, database, "short-lived", token)
    await (await people.get("approver-a")).grant(approval)
    with pytest.raises(errors.Unauthenticated, match="has expired"):
        async with asyncio.timeout(HANGS):
            await serving
    assert "the service takes them when their leases end, at most 1 s" in caplog.text
    goes_on.set()
    async with other:
        ended = [await people.ended(each) for each in (waiting, working)]
    assert [(each.result, each.fence) for each in ended] == [(other.worker, 2)] * 2
    assert begun == [one.worker, other.worker]


async def test_its_stream_ends_and_one_with_a_fresh_token_goes_on_where_it_was(
    server: Stack, database: str, people: People
) -> None:
    token = server.create_token("short-lived", "OPERATOR")
    operator, engine = await people.get("operator"), await people.get("engine")
    execution_id = await people.start("followed")
    read: list[RecordedEvent] = []

    async def follow(client: Client, count: int) -> None:
        after = read[-1].version if read else 0
        async for event in client.execution_events(execution_id, after_version=after):
            read.append(event)
            if len(read) == count:
                return

    async with Client(server.url, token) as short_lived:
        following = asyncio.create_task(follow(short_lived, 3))

        async def begun() -> bool | None:
            return bool(read) or None

        await until(begun)
        await run_out(server, database, "short-lived", token)
        await engine.record_step(execution_id, "a")
        with pytest.raises(errors.Unauthenticated, match="has expired"):
            async with asyncio.timeout(HANGS):
                await following
    await engine.record_step(execution_id, "b")
    async with asyncio.timeout(HANGS):
        await follow(operator, 3)
    assert [(each.version, each.type) for each in read] == [
        (1, "Started"),
        (2, "StepCompleted"),
        (3, "StepCompleted"),
    ]
