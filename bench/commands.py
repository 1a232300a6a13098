"""Commands through the writer, compared with one ``Application.save`` for each."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from application.command_handling.writer import Writer
from bench.log_load import library_settings, request, start, writer
from bench.measure import Bound, Result, median, milliseconds

IN_FLIGHT = (1, 16, 64)
ROUNDS = 5
SECONDS = 1.5


class Job(Aggregate):
    """An aggregate with the data of a start, written as in the library's tutorial."""

    @event("Started")
    def __init__(self, workflow: str, queue: str, given: dict[str, Any], labels: Any) -> None:
        self.workflow = workflow
        self.queue = queue
        self.given = given
        self.labels = labels


class Jobs(Application[Any]):
    """Saves one aggregate at a time."""

    def start(self, number: int) -> None:
        command = start(number, uuid4())
        self.save(
            Job(
                workflow=command.workflow,
                queue=command.queue,
                given=command.input,
                labels=[(label.name, label.value) for label in command.labels],
            )
        )


def jobs(url: str) -> Jobs:
    """Return the library's application, with a connection for each caller."""
    return Jobs(env={**library_settings(url), "POSTGRES_POOL_SIZE": str(max(IN_FLIGHT))})


def saved(application: Jobs, in_flight: int) -> list[float]:
    """Save for some seconds from several threads, and return the latencies."""
    until = time.perf_counter() + SECONDS

    def one(worker: int) -> list[float]:
        latencies = []
        while (began := time.perf_counter()) < until:
            application.start(worker)
            latencies.append(time.perf_counter() - began)
        return latencies

    with ThreadPoolExecutor(in_flight) as threads:
        return [each for part in threads.map(one, range(in_flight)) for each in part]


async def written(to: Writer, in_flight: int) -> list[float]:
    """Send commands for some seconds from several callers, and return the latencies."""
    until = time.perf_counter() + SECONDS
    latencies = []

    async def one(caller: int) -> None:
        while (began := time.perf_counter()) < until:
            await to.handle([request(start(caller, uuid4()))])
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*map(one, range(in_flight)))
    return latencies


async def run(url: str) -> Result:
    """Measure both in turns, so that other load on the machine affects both."""
    result = Result("Commands a second: the writer, and one Application.save for each")
    application = jobs(url)
    bounds = {1: 0.8, 64: 4.0}
    async with writer(url) as to:
        await written(to, 16)
        await asyncio.to_thread(saved, application, 16)
        for in_flight in IN_FLIGHT:
            ours: list[list[float]] = []
            theirs: list[list[float]] = []
            for _ in range(ROUNDS):
                ours.append(await written(to, in_flight))
                theirs.append(await asyncio.to_thread(saved, application, in_flight))
            rates = {}
            for name, rounds in (("writer", ours), ("Application.save", theirs)):
                rates[name] = median([len(latencies) / SECONDS for latencies in rounds])
                everything = [latency for latencies in rounds for latency in latencies]
                result.add(
                    f"{name}, {in_flight} in flight",
                    **{"commands/s": rates[name]},
                    **milliseconds(everything),
                )
            ratio = rates["writer"] / rates["Application.save"]
            result.bounds.append(
                Bound(f"writer to save at {in_flight} in flight", ratio, bounds.get(in_flight, 1.0))
            )
    application.close()
    return result
