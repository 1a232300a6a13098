"""What an engine needs for workflows that wait: no more for many than for a few."""

import asyncio
import threading
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

from placet import Engine, Run, require
from tests.sdk.engines import started
from tests.sdk.people import People, Server, until
from tests.support.proxy import HttpWire

FEW, MANY = 10, 300
AT_ONCE = 10


class Cost(NamedTuple):
    """What this process, and with it its engine, has at a moment."""

    tasks: int
    threads: int


class Waiting:
    """An engine with a workflow that asks, and the executions of it that wait."""

    def __init__(self, people: People, url: str, token: str) -> None:
        self._people = people
        self.ids: list[str] = []
        self.engine = Engine(
            url, token=token, queues=[f"queue-{uuid4()}"], put_away=timedelta(0), drain=timedelta(0)
        )

        @self.engine.workflow
        async def asks(run: Run) -> str:
            # Of a group whose list no other test reads: it is full of these.
            await run.approval("Trip", payload={}, policy=require(1, group="legal"))
            return "granted"

    async def cost(self, count: int) -> Cost:
        """Have so many wait, and give what is there when all are put away."""
        while len(self.ids) < count:
            starting = (started(self._people, self.engine, "asks") for _ in range(AT_ONCE))
            self.ids += await asyncio.gather(*starting)

        async def away() -> bool | None:
            return self.away() == count or None

        await until(away)
        return Cost(len(asyncio.all_tasks()), threading.active_count())

    def away(self) -> int:
        """Give how many are held and put away."""
        return sum(each.away for each in self.engine.pool.held())


async def test_many_that_wait_take_no_more_tasks_threads_or_connections_than_a_few(
    people: People, server: Server
) -> None:
    with HttpWire.open(server.url) as wire:
        waiting = Waiting(people, wire.url, server.tokens["engine"])
        async with waiting.engine:
            few = await waiting.cost(FEW)
            many = await waiting.cost(MANY)
            # What is just being sent or put away has a task or two.
            assert many.tasks < few.tasks + FEW
            assert many.threads <= few.threads
            # One WebSocket, and one connection for what is too large for that.
            assert wire.handshakes == 1
            assert wire.connections <= 2

            [approval] = await people.pending(waiting.ids[0])
            await (await people.get("approver-c")).grant(approval)
            assert (await people.ended(waiting.ids[0])).result == "granted"
            assert waiting.away() == MANY - 1
