"""How to wait for a decision: what each way costs, and how late it is."""

import asyncio
import random
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import psycopg

import placet
from bench.alternatives import Table
from bench.measure import Claim, Result, percentile
from bench.stack import Stack, stack
from bench.ways import LONG, POLL, PUSH, WATCH, Item, OfBus, OfPlacet, OfTable, People, Way

WAITING = (10, 100, 1_000)
DECISIONS = 100
WARM = 20
RATE = 20
"""Decisions a second, at which nothing is busy but with waiting."""
SETTLE_SECONDS = 1.0
BEGIN_RATE = 200
"""Waits that are begun in a second."""
LOOK_SECONDS = 0.5
TOLERANCE = 15
PATIENCE_SECONDS = 20.0
AT_LEAST = 4.0
FILES = 8_192


async def run(url: str) -> Result:
    """Measure each way with each number of waiters, on one server."""
    _allow_files()
    result = Result(
        f"From a decision's call to the waiter's next line; {DECISIONS} decisions at {RATE}/s"
    )
    medians: dict[tuple[str, int], float] = {}
    async with ways(url) as (people, table):
        cpu = Cpu(url, people.server)
        every: list[Way] = [OfPlacet(name, people) for name in (POLL, PUSH, WATCH)]
        # The server holds a long poll whose client has gone until its time is up, and it would be
        # measured with whatever comes next.
        every += [OfTable(table), OfBus(), OfPlacet(LONG, people)]
        for way in every:
            await asyncio.gather(*(_warm(way, item) for item in await way.make(WARM)))
        for number in WAITING:
            for way in every:
                latencies = await measure(result, way, number, cpu)
                medians[way.name, number] = percentile(latencies, 0.5)
    for name in (PUSH, WATCH, LONG):
        ratio = medians[POLL, WAITING[1]] / medians[name, WAITING[1]]
        result.claims.append(
            Claim(f"p50 of {POLL} to {name}, {WAITING[1]} waiting", ratio, AT_LEAST)
        )
    result.notes.append(
        "CPU s and requests are of the whole run, with the decisions themselves and the waits that "
        "are begun in it; the client is this process, which decides and waits."
    )
    return result


@asynccontextmanager
async def ways(url: str) -> AsyncIterator[tuple[People, Table]]:
    """Open a server with its clients, and a table beside it, on one database."""
    with tempfile.TemporaryDirectory() as data, stack(Path(data), database_url=url) as server:
        tokens = server.tokens
        async with (
            placet.Client(server.url, tokens["engine"]) as engine,
            placet.Client(server.url, tokens["approver-b"]) as approver,
            placet.Client(server.url, tokens["operator"]) as waiter,
            Table.open(url) as table,
        ):
            yield People(server, engine, approver, waiter), table


async def measure(result: Result, way: Way, number: int, cpu: "Cpu") -> list[float]:
    """Have so many wait, and each that was told begin to wait for another; decide in their order.

    Adds a row, and gives the latencies in seconds.
    """
    items = await way.make(number + DECISIONS)
    told: dict[int, float] = {}
    beginning = max(way.renews, number / BEGIN_RATE)
    upcoming = iter(enumerate(items))

    async def waiter() -> None:
        # Begun all at once, they would also renew all at once, before the measurement or after it.
        await asyncio.sleep(random.uniform(0, beginning))
        for index, item in upcoming:
            await way.wait(item)
            told[index] = time.perf_counter()

    waiters = [asyncio.create_task(waiter()) for _ in range(number)]
    try:
        await asyncio.sleep(beginning + SETTLE_SECONDS)
        await _quiet(way, number)
        before, spent = await way.requests(), cpu.spent()
        began = await _decide(way, items[:DECISIONS])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(told) < DECISIONS:
                _raise_failures(waiters)
                await asyncio.sleep(0.01)
        used = {name: now - spent[name] for name, now in cpu.spent().items()}
        requests = await way.requests() - before
    finally:
        for task in waiters:
            task.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
    latencies = [told[index] - began[index] for index in range(DECISIONS)]
    result.add(
        f"{way.name}, {number:,} waiting",
        **{
            "p50 ms": percentile(latencies, 0.5) * 1000,
            "p99 ms": percentile(latencies, 0.99) * 1000,
            **{f"{name} CPU s": round(seconds, 2) for name, seconds in used.items()},
            "requests": requests,
        },
    )
    return latencies


async def _decide(way: Way, items: Sequence[Item]) -> list[float]:
    """Decide one after the other at the rate, and give the times of the calls."""
    began: list[float] = []
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for index, item in enumerate(items):
            due = start + (index + random.random()) / RATE
            await asyncio.sleep(due - time.perf_counter())
            began.append(time.perf_counter())
            group.create_task(way.decide(item))
    return began


async def _quiet(way: Way, number: int) -> None:
    """Wait until there are no more requests than so many waiters make at rest."""
    rest = number / way.renews * LOOK_SECONDS if way.renews else 0.0
    async with asyncio.timeout(PATIENCE_SECONDS):
        before = await way.requests()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = await way.requests()
            if now - before <= rest * 1.2 + TOLERANCE:
                return
            before = now


async def _warm(way: Way, item: Item) -> None:
    waiting = asyncio.create_task(way.wait(item))
    await asyncio.sleep(SETTLE_SECONDS)
    await way.decide(item)
    await waiting


def _raise_failures(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        if task.done():
            task.result()


class Cpu:
    """The CPU seconds that this process, the server and PostgreSQL have used."""

    def __init__(self, url: str, server: Stack) -> None:
        with psycopg.connect(url) as connection:
            backend = psutil.Process(connection.info.backend_pid)
            postmaster = backend.parent()
        assert postmaster is not None
        self._postmaster = postmaster
        self._server = psutil.Process(server.process.pid)

    def spent(self) -> dict[str, float]:
        """Give the seconds so far."""
        postgres = self._postmaster.cpu_times()
        # Those of backends that have ended are their parent's children's.
        ended = postgres.children_user + postgres.children_system
        return {
            "client": time.process_time(),
            "server": _seconds(self._server),
            "PostgreSQL": _seconds(self._postmaster)
            + ended
            + sum(_seconds(child) for child in self._postmaster.children(recursive=True)),
        }


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _allow_files() -> None:
    # A thousand long polls are a thousand connections, at either end.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
