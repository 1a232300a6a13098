"""Ways to wait for a decision: their latency and their cost."""

import asyncio
import random
import resource
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import product
from operator import itemgetter

import psutil
import psycopg

from bench.alternatives import Bus, Table
from bench.measure import Bound, Result, Row, milliseconds
from bench.stack import Stack
from bench.ways import (
    ENGINE_METHODS,
    ENGINE_POLL,
    ENGINE_PUSH,
    LONG,
    POLL,
    PUSH,
    WATCH,
    BusWait,
    EngineWait,
    Item,
    PlacetWait,
    TableWait,
    WaitingClients,
    WaitMethod,
)

WAITING = (10, 100, 1_000)
DECISIONS = 100
RATE = 10
"""Decisions a second. They are few, so that the cost is mostly that of waiting."""
WARM = 20
BEGIN_RATE = 100
"""How many waits begin in a second."""
SETTLE_SECONDS = 1.0
LOOK_SECONDS = 0.5
TOLERANCE = 15
PATIENCE_SECONDS = 60.0
AT_LEAST = 4.0
FILES = 8_192


async def run(url: str) -> Result:
    """Measure each way with each number of waiters, on one server."""
    _allow_files()
    measured: dict[tuple[int, str], Row] = {}
    async with WaitingClients.open(url) as clients:
        cpu = Cpu(url, clients.server)
        start, others = time.perf_counter(), cpu.of_others()
        # Long polls come last. The server keeps a long poll whose client has gone until it times
        # out, which would disturb later measurements.
        for name in (
            POLL,
            PUSH,
            WATCH,
            ENGINE_PUSH,
            ENGINE_POLL,
            TableWait.name,
            BusWait.name,
            LONG,
        ):
            async with AsyncExitStack() as opened:
                way = await _open(name, url, clients, opened)
                await asyncio.gather(*(_warm(way, item) for item in await way.make(WARM)))
                for number in WAITING:
                    measured[number, name] = await measure(way, number, cpu)
        busy = (cpu.of_others() - others) / (time.perf_counter() - start)
    result = Result(f"From a decision's call to the waiter's next line, {DECISIONS} at {RATE}/s")
    result.rows += [measured[key] for key in sorted(measured, key=itemgetter(0))]
    medians = {key: float(row.figures["p50 ms"]) for key, row in measured.items()}
    for number, name in product(WAITING, (PUSH, WATCH, ENGINE_PUSH, ENGINE_POLL, LONG)):
        ratio = medians[number, POLL] / medians[number, name]
        result.bounds.append(Bound(f"p50 of {POLL} to {name}, {number:,} waiting", ratio, AT_LEAST))
    result.notes.append(
        "CPU and requests are for each decision. They include the decision itself and the wait "
        "that begins after it. Requests are HTTP requests; for the table, transactions. The client "
        "is one process, which decides and waits. "
        f"Other programs kept {max(busy, 0):.1f} of {psutil.cpu_count()} cores busy meanwhile."
    )
    return result


async def measure(way: WaitMethod, number: int, cpu: "Cpu") -> Row:
    """Let so many waiters wait. When a wait ends, its waiter waits for another item."""
    load = Load(way, await way.make(number + DECISIONS))
    # If all waits began at once, they would also renew at once, inside or outside the measurement.
    beginning = max(way.renews, number / BEGIN_RATE)
    async with asyncio.TaskGroup() as group:
        waiters = [group.create_task(load.waiter(beginning)) for _ in range(number)]
        await asyncio.sleep(beginning + SETTLE_SECONDS)
        await _quiet(way, number)
        requested, spent = await way.requests(), cpu.spent()
        await load.decide()
        used = {name: seconds - spent[name] for name, seconds in cpu.spent().items()}
        requests = await way.requests() - requested
        for task in waiters:
            task.cancel()
    return Row(
        way.name,
        {
            "waiting": number,
            **milliseconds(load.latencies),
            **{f"{who} CPU ms": seconds * 1000 / DECISIONS for who, seconds in used.items()},
            "requests": requests / DECISIONS,
        },
    )


class Load:
    """Waiters, and decisions about random items that they wait for."""

    def __init__(self, way: WaitMethod, items: Sequence[Item]) -> None:
        self.latencies: list[float] = []
        self._way = way
        self._items = items
        self._upcoming = iter(range(len(items)))
        self._waited_for: list[int] = []
        self._available = asyncio.Semaphore(0)
        self._began: dict[int, float] = {}
        self._told = asyncio.Event()

    async def waiter(self, beginning: float) -> None:
        """Wait for one item after the other, after a random delay of up to so many seconds."""
        await asyncio.sleep(random.uniform(0, beginning))
        for index in self._upcoming:
            self._waited_for.append(index)
            self._available.release()
            await self._way.wait(self._items[index])
            self.latencies.append(time.perf_counter() - self._began[index])
            if len(self.latencies) == DECISIONS:
                self._told.set()

    async def decide(self) -> None:
        """Decide at the rate until all waits have ended. Raises TimeoutError if some do not end.

        The item is random, so that the order of the decisions can't match that of the polls.
        """
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for turn in range(DECISIONS):
                await asyncio.sleep(start + (turn + random.random()) / RATE - time.perf_counter())
                await self._available.acquire()
                index = self._waited_for.pop(random.randrange(len(self._waited_for)))
                self._began[index] = time.perf_counter()
                group.create_task(self._way.decide(self._items[index]))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._told.wait()


async def _open(name: str, url: str, clients: WaitingClients, opened: AsyncExitStack) -> WaitMethod:
    if name == BusWait.name:
        return BusWait(Bus())
    if name == TableWait.name:
        return TableWait(await opened.enter_async_context(Table.open(url)))
    if name in ENGINE_METHODS:
        return await opened.enter_async_context(EngineWait.open(name, clients))
    return PlacetWait(name, clients)


async def _quiet(way: WaitMethod, number: int) -> None:
    """Wait until there are no more requests than those that the waiters make regularly."""
    rest = number / way.renews * LOOK_SECONDS if way.renews else 0.0
    async with asyncio.timeout(PATIENCE_SECONDS):
        before = await way.requests()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = await way.requests()
            if now - before <= rest * 1.2 + TOLERANCE:
                return
            before = now


async def _warm(way: WaitMethod, item: Item) -> None:
    waiting = asyncio.create_task(way.wait(item))
    await asyncio.sleep(SETTLE_SECONDS)
    await way.decide(item)
    await waiting


class Cpu:
    """The CPU seconds that this process, the server, PostgreSQL and other programs have used."""

    def __init__(self, url: str, server: Stack) -> None:
        with psycopg.connect(url) as connection:
            backend = psutil.Process(connection.info.backend_pid)
            postmaster = backend.parent()
        assert postmaster is not None
        self._postmaster = postmaster
        self._server = psutil.Process(server.process.pid)

    def spent(self) -> dict[str, float]:
        """Return the seconds so far."""
        postgres = self._postmaster.cpu_times()
        # Backends that have ended are counted in the children's times of the postmaster.
        ended = postgres.children_user + postgres.children_system
        return {
            "client": time.process_time(),
            "server": _seconds(self._server),
            "PostgreSQL": _seconds(self._postmaster)
            + ended
            + sum(_seconds(child) for child in self._postmaster.children(recursive=True)),
        }

    def of_others(self) -> float:
        """Return the CPU seconds of all other programs, from a fixed start."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        cores = psutil.cpu_count() or 1
        return time.time() * cores - idle - sum(self.spent().values())


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _allow_files() -> None:
    # A thousand long polls are a thousand connections, in the client and in the server.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
