"""Every way to wait survives a server that is killed."""

import asyncio
from contextlib import AsyncExitStack

from tests.sdk import ways
from tests.sdk.people import People
from tests.sdk.ways import OUTCOMES, WAYS, asked
from tests.support.patience import HANGS
from tests.system.conftest import Opened


async def test_waiters_survive_a_restart_of_the_server(open_server: Opened, port: int) -> None:
    server = open_server(port)
    async with AsyncExitStack() as stack:
        people = People(server, stack)
        operator = await people.get("operator")
        approvals = [await asked(people) for _ in WAYS]
        waiting = [
            asyncio.ensure_future(way(operator, approval.execution_id))
            for way, approval in zip(WAYS, approvals, strict=True)
        ]
        await ways.underway(operator, waiting[0])
        server.kill9()
        server = open_server(port)
        for approval in approvals[::2]:
            await ways.grant(people, approval)
        server.kill9()
        server = open_server(port)
        for approval in approvals[1::2]:
            await ways.grant(people, approval)
        async with asyncio.timeout(HANGS):
            outcomes = await asyncio.gather(*waiting)
    assert outcomes == [OUTCOMES[ways.grant]] * len(WAYS)
