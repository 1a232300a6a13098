"""An engine whose connection breaks off: for good, or only for a moment."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from placet import Engine, Run, require
from placet.client.transport.graphql_ws import GraphQLWebSocket
from placet.models.worker_responses import Heartbeat
from tests.sdk.engines import started
from tests.sdk.people import People, Server
from tests.support.patience import HANGS
from tests.support.proxy import HttpWire


@pytest.fixture
def wire(server: Server) -> Iterator[HttpWire]:
    with HttpWire.open(server.url) as opened:
        yield opened


def asking(server: Server, queue: str, url: str, grace: timedelta | None) -> Engine:
    """Give an engine whose workflow asks, and says which engine went on."""
    engine = Engine(
        url,
        token=server.tokens["engine"],
        queues=[queue],
        lease=timedelta(hours=1),
        grace=grace,
        drain=timedelta(0),
    )

    @engine.workflow(name="asks")
    async def asks(run: Run) -> str:
        await run.approval("Trip", payload={}, policy=require(1, group="finance"))
        return engine.worker

    return engine


async def test_what_it_held_goes_on_elsewhere_long_before_its_lease_is_over(
    people: People, server: Server, wire: HttpWire
) -> None:
    approver = await people.get("approver-b")
    queue = f"queue-{uuid4()}"
    one = asking(server, queue, wire.url, timedelta(seconds=0.1))
    other = asking(server, queue, server.url, None)
    async with one:
        execution_id = await started(people, one, "asks")
        [approval] = await people.pending(execution_id)
        async with other:
            wire.down = True
            wire.cut()
            await approver.grant(approval)
            ended = await people.ended(execution_id)
        wire.down = False
    assert (ended.result, ended.fence) == (other.worker, 2)


async def test_it_says_that_it_is_there_before_it_is_back(
    people: People, server: Server, wire: HttpWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    approver = await people.get("approver-b")
    queue = f"queue-{uuid4()}"
    one = asking(server, queue, wire.url, timedelta(seconds=0.1))
    other = asking(server, queue, server.url, None)
    heartbeat, beaten, dial = one.client.leases.heartbeat, asyncio.Event(), GraphQLWebSocket.open

    async def noted(*args: Any, **more: Any) -> Heartbeat:
        beat = await heartbeat(*args, **more)
        beaten.set()
        return beat

    async def held_up(*args: Any) -> GraphQLWebSocket:
        await beaten.wait()
        return await dial(*args)

    async with one:
        execution_id = await started(people, one, "asks")
        [approval] = await people.pending(execution_id)
        async with other:
            monkeypatch.setattr(one.client.leases, "heartbeat", noted)
            monkeypatch.setattr(
                "placet.client.transport.reconnecting.GraphQLWebSocket.open", held_up
            )
            wire.cut()
            async with asyncio.timeout(HANGS):
                await beaten.wait()
            await approver.grant(approval)
            ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == (one.worker, 1)
