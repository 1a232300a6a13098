"""The parts of the measurement, the same for every contender. Each reports its figures at once.

Latencies and durations are in seconds, memory in megabytes.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

from bench.rivals.contender import Contender
from bench.rivals.usage import postgres, processor, proportional, resident, threads
from bench.rivals.worker import Reports, Worker

T = TypeVar("T")
Give = Callable[[dict[str, Any]], None]

IN_FLIGHT = 64
SETTLE_WITHIN = 60.0
MOMENT = (0.01, 0.02)
WHILE = (1.5, 2.5)
"""A random time between these seconds, so that it does not match a contender's timers."""


def fill_within(count: int) -> float:
    """Return the timeout in seconds until so many lifecycles are waiting."""
    return 60 + count / 20


@dataclass(frozen=True)
class Sizes:
    """How many lifecycles each part has. The seconds are for the part ``load``."""

    idle: int = 200
    rested: int = 30
    warm_seconds: float = 3.0
    load_seconds: float = 12.0
    killed: int = 200
    waiting: Sequence[int] = (1_000, 5_000, 10_000)
    decided: int = 100


@dataclass
class Measurement:
    """One contender on an empty database, with the reports of its workers."""

    contender: Contender
    reports: Reports
    database: str
    sizes: Sizes
    give: Give

    def worker(self) -> AbstractAsyncContextManager[Worker]:
        """Load a worker."""
        return Worker.load(self.contender.worker, self.contender.arguments(), self.reports)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        """Run a worker."""
        async with self.worker() as worker:
            await worker.go()
            yield worker

    async def waiting(self, worker: Worker) -> str:
        """Begin a lifecycle, and return it once it waits."""
        lifecycle = str(uuid4())
        await self.contender.begin(lifecycle, worker)
        await self.reports.reached("waits", lifecycle)
        return lifecycle

    async def woken(self, lifecycle: str, worker: Worker) -> float:
        """Decide, and return the seconds from the call to the lifecycle's next line."""
        called = time.perf_counter_ns()
        await self.contender.decide(lifecycle, worker)
        return (await self.reports.reached("woke", lifecycle) - called) / 1e9

    async def whole(self, worker: Worker) -> tuple[float, float]:
        """Run a lifecycle. Returns the seconds to its next line, and the time of its last one."""
        lifecycle = await self.waiting(worker)
        wake = await self.woken(lifecycle, worker)
        return wake, await self.reports.reached("done", lifecycle) / 1e9

    async def settled(self) -> None:
        """Wait until all lifecycles are completed, according to the contender."""
        left = 0
        try:
            async with asyncio.timeout(SETTLE_WITHIN):
                while left := await self.contender.unfinished():  # noqa: ASYNC110 - no event for it
                    await asyncio.sleep(0.005)
        except TimeoutError:
            msg = f"{left} lifecycles are not completed {SETTLE_WITHIN:g} s after their last line"
            raise AssertionError(msg) from None


async def idle(measurement: Measurement) -> None:
    """Run one lifecycle after the other, and decide each a moment after it waits."""
    await _one_by_one(measurement, measurement.sizes.idle, MOMENT)


async def rested(measurement: Measurement) -> None:
    """Run the same, and decide after a while without activity."""
    await _one_by_one(measurement, measurement.sizes.rested, WHILE)


async def _one_by_one(measurement: Measurement, count: int, rest: tuple[float, float]) -> None:
    async with measurement.working() as worker:
        for _ in range(20):
            await measurement.whole(worker)
        wakes = []
        for _ in range(count):
            lifecycle = await measurement.waiting(worker)
            await asyncio.sleep(random.uniform(*rest))
            wakes.append(await measurement.woken(lifecycle, worker))
            await measurement.reports.reached("done", lifecycle)
        await measurement.settled()
    measurement.give({"wakes": wakes})


async def load(measurement: Measurement) -> None:
    """Keep many lifecycles in flight, and decide each as soon as it waits."""
    async with measurement.working() as worker:
        begins = time.perf_counter() + measurement.sizes.warm_seconds
        ends = begins + measurement.sizes.load_seconds

        async def one_after_another() -> list[tuple[float, float]]:
            ran = []
            while time.perf_counter() < ends:
                ran.append(await measurement.whole(worker))
            return ran

        async def used() -> dict[str, float]:
            await asyncio.sleep(begins - time.perf_counter())
            before = await _processor(measurement, worker)
            await asyncio.sleep(ends - time.perf_counter())
            after = await _processor(measurement, worker)
            return {name: after[name] - before[name] for name in after}

        async with asyncio.TaskGroup() as group:
            using = group.create_task(used())
            running = [group.create_task(one_after_another()) for _ in range(IN_FLIGHT)]
        await measurement.settled()
    ran = [each for one in running for each in one.result()]
    wakes = [wake for wake, done in ran if begins <= done < ends]
    measurement.give(
        {"wakes": wakes, "seconds": measurement.sizes.load_seconds, "processor": using.result()}
    )


async def killed(measurement: Measurement) -> None:
    """Kill a worker with waiting lifecycles, and decide them all; a second worker completes them.

    The second worker has everything loaded. It runs already if the contender allows two workers at
    a time; otherwise it starts when the first is killed.
    """
    contender, reports = measurement.contender, measurement.reports
    async with measurement.worker() as first, measurement.worker() as second:
        await first.go()
        await measurement.whole(first)
        waiting = await at_once(measurement.sizes.killed, lambda: measurement.waiting(first))
        if contender.stands_by:
            await second.go()
        await asyncio.sleep(0.5)
        began = time.perf_counter()
        await first.kill9()
        begins = None if contender.stands_by else asyncio.create_task(second.go())
        deciding = iter(waiting)
        await at_once(len(waiting), lambda: contender.decide(next(deciding), second))
        for lifecycle in waiting:
            await reports.reached("done", lifecycle)
        await measurement.settled()
        took = time.perf_counter() - began
        after = await contender.since_lease()
        if begins is not None:
            await begins
    measurement.give({"killed": len(waiting), "seconds": took, "after_lease": after})


async def waiting(measurement: Measurement) -> None:
    """Let more and more lifecycles wait, and measure the memory and the latency of a wake-up."""
    async with measurement.working() as worker:
        await measurement.whole(worker)
        before = await _memory(measurement, worker)
        measurement.give({"waiting": 0, **before})
        held: list[str] = []
        for size in measurement.sizes.waiting:
            missing = size - len(held)
            began = time.perf_counter()
            async with asyncio.timeout(fill_within(missing)):
                held += await at_once(missing, lambda: measurement.waiting(worker))
            took = time.perf_counter() - began
            after = await _memory(measurement, worker)
            random.shuffle(held)
            wakes = []
            for _ in range(measurement.sizes.decided):
                lifecycle = held.pop()
                await asyncio.sleep(random.uniform(*MOMENT))
                wakes.append(await measurement.woken(lifecycle, worker))
                await measurement.reports.reached("done", lifecycle)
            filled = {"filled": missing, "fill_seconds": took}
            measurement.give({"waiting": size, **after, **filled, "wakes": wakes})


async def at_once(count: int, make: Callable[[], Awaitable[T]]) -> list[T]:
    """Call ``make`` so many times, with IN_FLIGHT calls at a time."""
    made: list[T] = []
    left = iter(range(count))

    async def some() -> None:
        made.extend([await make() for _ in left])

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(some())
    return made


PARTS: dict[str, Callable[[Measurement], Awaitable[None]]] = {
    "idle": idle,
    "rested": rested,
    "load": load,
    "killed": killed,
    "waiting": waiting,
}


async def _memory(measurement: Measurement, worker: Worker) -> dict[str, Any]:
    return {
        "worker": resident([worker.pid]),
        "threads": threads(worker.pid),
        "server": resident(measurement.contender.server),
        "postgres": proportional(await postgres(measurement.database)),
    }


async def _processor(measurement: Measurement, worker: Worker) -> dict[str, float]:
    return {
        "worker": processor([worker.pid]),
        "server": processor(measurement.contender.server),
        "PostgreSQL": processor(await postgres(measurement.database)),
        "client": processor([os.getpid()]),
    }
