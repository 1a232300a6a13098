"""From a client's decision to the message of whoever waits for it."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import psycopg

import placet
from bench.measure import Claim, Result, milliseconds, percentile
from bench.stack import Stack, stack
from bench.steady import steadily

DECISIONS = 300
POLLERS = 60
POLL_SECONDS = 0.5
RATE = 200
MAX_SECONDS = 60.0


class People:
    """Clients of one server: who starts, who asks, who decides, and who waits at another."""

    def __init__(
        self,
        operator: placet.Client,
        engine: placet.Client,
        approver: placet.Client,
        waiter: placet.Client,
    ) -> None:
        self.operator = operator
        self.engine = engine
        self.approver = approver
        self.waiter = waiter

    async def asked(self) -> placet.Approval:
        """Give an approval that is pending."""
        started = await self.operator.start("wake")
        assert started.execution is not None
        accepted = await self.engine.request_approval(
            started.execution.id,
            "go",
            "Go on?",
            payload={"n": 1},
            policy=placet.require(1, group="finance"),
        )
        assert accepted.approval is not None
        return accepted.approval


async def run(url: str) -> Result:
    """Measure. The floor and what is idle in turns, so that what the machine does meets both."""
    result = Result("From grantApproval sent to the waiting client's message")
    with tempfile.TemporaryDirectory() as data, stack(Path(data), database_url=url) as server:
        async with AsyncExitStack() as clients, Floor.open(url) as floor:
            people = await _people(clients, server, server)
            for _ in range(30):
                await _pushed(people)
            idle, floors = [], []
            for _ in range(DECISIONS):
                floors.append(await floor.measure())
                idle.append(await _pushed(people))
            result.add("floor: one commit, one NOTIFY, two connections", **milliseconds(floors))
            result.add("subscription, idle", **milliseconds(idle))
            with steadily(server, RATE, MAX_SECONDS):
                busy = [await _pushed(people) for _ in range(DECISIONS)]
            result.add(f"subscription, at {RATE} commands/s", **milliseconds(busy))
            with stack(Path(data), database_url=url) as other:
                elsewhere = await _people(clients, server, other)
                crossed = [await _pushed(elsewhere) for _ in range(DECISIONS)]
            result.add("subscription at another server process, idle", **milliseconds(crossed))
            polled = await asyncio.gather(*(_polled(people) for _ in range(POLLERS)))
            result.add(f"poll every {POLL_SECONDS:g} s", **milliseconds(polled))
    ratio = percentile(idle, 0.5) / percentile(floors, 0.5)
    result.claims.append(Claim("idle p50 to the floor's", ratio, 3.0, at_least=False))
    return result


async def _people(clients: AsyncExitStack, server: Stack, waits_at: Stack) -> People:
    async def client(of: Stack, name: str) -> placet.Client:
        return await clients.enter_async_context(placet.Client(of.url, of.tokens[name]))

    return People(
        await client(server, "operator"),
        await client(server, "engine"),
        await client(server, "approver-b"),
        await client(waits_at, "operator"),
    )


async def _pushed(people: People) -> float:
    approval = await people.asked()
    events = people.waiter.execution_events(approval.execution_id, after_version=0)
    began, granting = 0.0, None
    async with aclosing(events):
        async for event in events:
            if event.type == "ApprovalRequested":
                # The stream is live: what comes next is what is waited for.
                await asyncio.sleep(random.uniform(0.002, 0.01))
                began = time.perf_counter()
                granting = asyncio.create_task(people.approver.grant(approval))
            elif event.type == "ApprovalGranted" and granting is not None:
                seconds = time.perf_counter() - began
                await granting
                return seconds
    raise AssertionError("the stream ended")


async def _polled(people: People) -> float:
    approval = await people.asked()
    await asyncio.sleep(random.uniform(0, 10))

    async def poll() -> float:
        while True:
            found = await people.operator.execution(approval.execution_id)
            assert found is not None
            if found.state is placet.ExecutionState.RESUMED:
                return time.perf_counter()
            await asyncio.sleep(POLL_SECONDS)

    polling = asyncio.create_task(poll())
    await asyncio.sleep(random.uniform(1, 1 + POLL_SECONDS))
    began = time.perf_counter()
    await people.approver.grant(approval)
    return await polling - began


class Floor:
    """One insert, one commit and one notification, as bare as the driver has it."""

    def __init__(
        self, writes: psycopg.AsyncConnection, notified: AsyncGenerator[psycopg.Notify, None]
    ) -> None:
        self._writes = writes
        self._notified = notified

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["Floor"]:
        """Open the two connections."""
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as writes,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as listens,
        ):
            await writes.execute("CREATE TABLE floor (id bigserial PRIMARY KEY, body bytea)")
            await listens.execute("LISTEN floor")
            async with aclosing(listens.notifies()) as notified:
                yield cls(writes, notified)

    async def measure(self) -> float:
        """Give the seconds from the insert to its notification at the other connection."""
        waiting = asyncio.ensure_future(anext(self._notified))
        await asyncio.sleep(random.uniform(0.002, 0.01))
        began = time.perf_counter()
        async with self._writes.pipeline():
            await self._writes.execute("BEGIN")
            await self._writes.execute("INSERT INTO floor (body) VALUES (%s)", [b"x" * 500])
            await self._writes.execute("NOTIFY floor")
            await self._writes.execute("COMMIT")
        await waiting
        return time.perf_counter() - began
