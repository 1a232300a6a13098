"""How each way to wait copes with cut connections, races and killed processes."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Protocol

import psycopg

import placet
from bench import waiter
from bench.alternatives import Bus, Table
from bench.measure import Result
from bench.ways import (
    GRANTED,
    PLACET_METHODS,
    PUSH,
    REJECTED,
    BusWait,
    Item,
    PlacetWait,
    TableWait,
    WaitingClients,
    WaitMethod,
)
from tests.support.proxy import HttpWire

TIMES = 20
UNDERWAY_SECONDS = 1.0
MOMENT_SECONDS = 0.02
PATIENCE_SECONDS = 5.0


class Subject(WaitMethod, Protocol):
    """A way to wait, and how to disturb it."""

    def cut(self) -> AbstractAsyncContextManager[None]:
        """Cut the waiter off for the block."""

    def command(self, item: Item) -> Sequence[str] | None:
        """Return the arguments of a waiting process, None if the item ends with its process."""


class ProxiedPlacet(PlacetWait):
    """A client of Placet behind a proxy that can be cut."""

    def __init__(
        self, way: str, clients: WaitingClients, wire: HttpWire, client: placet.Client
    ) -> None:
        super().__init__(way, replace(clients, waiter=client))
        self._way = way
        self.wire = wire
        self._token = clients.server.tokens["operator"]

    @asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        self.wire.down = True
        self.wire.cut()
        yield
        self.wire.down = False

    def command(self, item: Item) -> Sequence[str]:
        return (self._way, self.wire.url, self._token, item.id)


class DisconnectedTable(TableWait):
    """A table whose poller is disconnected by PostgreSQL."""

    def __init__(self, url: str, table: Table) -> None:
        super().__init__(table)
        self._url = url

    @asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            await connection.execute("SELECT pg_terminate_backend(%s)", [self._table.poller])
        yield

    def command(self, item: Item) -> Sequence[str]:
        return (waiter.TABLE, self._url, str(item))


class UnsubscribedBus(BusWait):
    """A bus whose subscribers are removed for a while."""

    @asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        away, self._bus.subscribers = self._bus.subscribers, {}
        yield
        self._bus.subscribers = away

    def command(self, item: Item) -> None:
        del item


async def run(url: str) -> Result:
    """Measure each way to wait with each disturbance."""
    result = Result(f"How many of {TIMES} are told, and how late the last, when something is wrong")
    async with _subjects(url) as subjects:
        for subject in subjects:
            result.add(
                subject.name,
                **{
                    "cut off, decided meanwhile": await _cut_off(subject),
                    "decided before": await _late(subject),
                    "decided as the wait begins": await _as_it_begins(subject),
                    "two decide at once": await _race(subject),
                    "killed, decided meanwhile": await _killed(subject),
                    "killed when told": await _killed_when_answered(subject),
                },
            )
    result.notes.append(
        f"The timeout is {PATIENCE_SECONDS:g} s. A killed process is started again, once for each "
        "way, and the result says whether the new process is told."
    )
    return result


@asynccontextmanager
async def _subjects(url: str) -> AsyncIterator[Sequence[Subject]]:
    async with AsyncExitStack() as stack:
        clients = await stack.enter_async_context(WaitingClients.open(url))

        async def proxied(way: str) -> ProxiedPlacet:
            wire = stack.enter_context(HttpWire.open(clients.server.url))
            client = placet.Client(wire.url, clients.server.tokens["operator"])
            return ProxiedPlacet(way, clients, wire, await stack.enter_async_context(client))

        blocked = await proxied(PUSH)
        blocked.name = "push, WebSockets blocked"
        blocked.wire.websockets = "refuse"
        table = await stack.enter_async_context(Table.open(url))
        yield [
            *[await proxied(way) for way in PLACET_METHODS],
            blocked,
            DisconnectedTable(url, table),
            UnsubscribedBus(Bus()),
        ]


async def _cut_off(subject: Subject) -> str:
    items = await subject.make(TIMES)
    waiting = [asyncio.create_task(subject.wait(item)) for item in items]
    await asyncio.sleep(UNDERWAY_SECONDS)
    async with subject.cut():
        for item in items:
            await subject.decide(item)
    return await _answered(waiting)


async def _late(subject: Subject) -> str:
    items = await subject.make(TIMES)
    for item in items:
        await subject.decide(item)
    return await _answered([asyncio.create_task(subject.wait(item)) for item in items])


async def _as_it_begins(subject: Subject) -> str:
    items = await subject.make(TIMES)

    async def decide(item: Item) -> None:
        await asyncio.sleep(random.uniform(0, MOMENT_SECONDS))
        await subject.decide(item)

    async def wait(item: Item) -> None:
        await asyncio.sleep(random.uniform(0, MOMENT_SECONDS))
        await subject.wait(item)

    waiting = [asyncio.create_task(wait(item)) for item in items]
    deciding = [asyncio.create_task(decide(item)) for item in items]
    answered = await _answered(waiting)
    await asyncio.gather(*deciding)
    return answered


async def _race(subject: Subject) -> str:
    one = 0
    for item in await subject.make(TIMES):
        counts = await asyncio.gather(*(subject.decide(item, each) for each in (GRANTED, REJECTED)))
        one += sum(counts) == 1
    return f"one counts: {one}"


async def _killed(subject: Subject) -> str:
    [item] = await subject.make(1)
    command = subject.command(item)
    if command is None:
        return "gone with it"
    async with _process(command):
        pass
    await subject.decide(item)
    return await _begun_again(command)


async def _killed_when_answered(subject: Subject) -> str:
    [item] = await subject.make(1)
    command = subject.command(item)
    if command is None:
        return "gone with it"
    async with _process(command) as process:
        await subject.decide(item)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await _expect_line(process, "answered")
    return await _begun_again(command)


async def _begun_again(command: Sequence[str]) -> str:
    async with _process(command) as process:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await _expect_line(process, "answered")
                return "told"
    return "not told"


async def _answered(waiting: Iterable["asyncio.Task[object]"]) -> str:
    """Return how many waits ended, and after how long the last of them did."""
    began = last = time.perf_counter()
    answered = 0
    with suppress(TimeoutError):
        for ended in asyncio.as_completed(waiting, timeout=PATIENCE_SECONDS):
            await ended
            answered, last = answered + 1, time.perf_counter()
    for task in waiting:
        task.cancel()
    return f"{answered} in {(last - began) * 1000:.0f} ms" if answered else "none"


@asynccontextmanager
async def _process(arguments: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a process that waits, and kill it after the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.waiter", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        await _expect_line(process, "waiting")
        await asyncio.sleep(UNDERWAY_SECONDS)
        yield process
    finally:
        process.kill()
        await process.wait()


async def _expect_line(process: asyncio.subprocess.Process, word: str) -> None:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line.decode().strip() == word, f"the waiting process said {line!r}"
