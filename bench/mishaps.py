"""What becomes of each way to wait when something goes wrong, which is made to happen here."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import psycopg

import placet
from bench import waiter
from bench.alternatives import Bus, Table
from bench.measure import Result
from bench.waiting import ways
from bench.ways import OF_PLACET, Item, People

RACES = 20
UNDERWAY_SECONDS = 0.5
PATIENCE_SECONDS = 3.0
NOT_TOLD = f"not told in {PATIENCE_SECONDS:g} s"


class Subject(Protocol):
    """A way to wait, and how it is hurt."""

    name: str

    async def make(self) -> Item:
        """Make an item that waits for a decision."""

    async def wait(self, item: Item) -> str:
        """Wait until the item is decided, and say how."""

    async def decide(self, item: Item, decision: str) -> bool:
        """Decide as one of two people, and say whether that person was told it counts."""

    async def drop(self, waiting: "asyncio.Task[str]", item: Item) -> "asyncio.Task[str]":
        """Cut what the message would come by, have it decided, and let the waiter go on."""

    def process(self, item: Item, *, decided: bool) -> Sequence[str]:
        """Give the arguments of a process that waits, ``decided``: that the decision comes to."""


class OfPlacet:
    """One of Placet's ways."""

    def __init__(self, name: str, people: People, other: placet.Client) -> None:
        self.name = name
        self._people = people
        self._deciders = {"GRANTED": people.approver, "REJECTED": other}

    async def make(self) -> placet.Approval:
        [approval] = await self._people.asked(1)
        return approval

    async def wait(self, item: placet.Approval) -> str:
        client = self._people.waiter
        await OF_PLACET[self.name](client, item)
        found = await client.approval(item.id)
        assert found is not None
        return found.status.value

    async def decide(self, item: placet.Approval, decision: str) -> bool:
        decider = self._deciders[decision]
        try:
            if decision == "GRANTED":
                await decider.grant(item)
            else:
                await decider.reject(item, comment="no")
        except placet.Refused as refused:
            if refused.code != "ALREADY_DECIDED":
                raise
            return False
        return True

    async def drop(self, waiting: "asyncio.Task[str]", item: Item) -> "asyncio.Task[str]":
        client = self._people.waiter
        for session in (client._open_session, client._open_waiting):  # noqa: SLF001
            if session is not None and session.connector is not None:
                for protocol in tuple(session.connector._acquired):  # noqa: SLF001
                    if protocol.transport is not None:
                        protocol.transport.abort()
        await self.decide(item, "GRANTED")
        return waiting

    def process(self, item: placet.Approval, *, decided: bool) -> Sequence[str]:
        del decided
        server = self._people.server
        return (self.name, server.url, server.tokens["operator"], item.id)


class OfBus:
    """A bus in the process of its waiters and deciders."""

    name = "event bus in memory"

    def __init__(self) -> None:
        self._bus = Bus()

    async def make(self) -> str:
        return "topic"

    async def wait(self, item: str) -> str:
        async with self._bus.subscribed(item) as messages:
            return await messages.get()

    async def decide(self, item: str, decision: str) -> bool:
        self._bus.publish(item, decision)
        return True

    async def drop(self, waiting: "asyncio.Task[str]", item: str) -> "asyncio.Task[str]":
        waiting.cancel()
        await asyncio.wait([waiting])
        await self.decide(item, "GRANTED")
        return asyncio.create_task(self.wait(item))

    def process(self, item: str, *, decided: bool) -> Sequence[str]:
        del item
        return (waiter.BUS_DECIDED if decided else waiter.BUS,)


class OfTable:
    """A table with locks."""

    name = "table with locks, polled"

    def __init__(self, url: str, table: Table) -> None:
        self._url = url
        self._table = table

    async def make(self) -> Item:
        [id_] = await self._table.add(1)
        return id_

    async def wait(self, item: Item) -> str:
        return await self._table.wait(item)

    async def decide(self, item: Item, decision: str) -> bool:
        return await self._table.decide(item, decision)

    async def drop(self, waiting: "asyncio.Task[str]", item: Item) -> "asyncio.Task[str]":
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            await connection.execute("SELECT pg_terminate_backend(%s)", [self._table.poller])
        await self.decide(item, "GRANTED")
        return waiting

    def process(self, item: Item, *, decided: bool) -> Sequence[str]:
        del decided
        return (waiter.TABLE, self._url, str(item))


async def run(url: str) -> Result:
    """Make each mishap happen to each way."""
    result = Result("What becomes of a decision when something goes wrong")
    async with ways(url) as (people, table):
        server = people.server
        async with placet.Client(server.url, server.tokens["approver-a"]) as other:
            subjects: list[Subject] = [OfPlacet(name, people, other) for name in OF_PLACET]
            for subject in [*subjects, OfTable(url, table), OfBus()]:
                result.add(
                    subject.name,
                    **{
                        "message lost": await _lost(subject),
                        "waits after it": await _late(subject),
                        "two decide at once": await _race(subject),
                        "killed, decided meanwhile": await _killed(subject),
                        "killed when told": await _killed_when_told(subject),
                    },
                )
    result.notes.append(
        f"{RACES} races each. A waiter that is killed is begun again as a new process, and what is "
        "said is what that one was told."
    )
    return result


async def _lost(subject: Subject) -> str:
    item = await subject.make()
    waiting = asyncio.create_task(subject.wait(item))
    await asyncio.sleep(UNDERWAY_SECONDS)
    began = time.perf_counter()
    return await _told(await subject.drop(waiting, item), began)


async def _late(subject: Subject) -> str:
    item = await subject.make()
    await subject.decide(item, "GRANTED")
    began = time.perf_counter()
    return await _told(asyncio.create_task(subject.wait(item)), began)


async def _race(subject: Subject) -> str:
    accepted = agreed = 0
    for _ in range(RACES):
        item = await subject.make()
        waiting = asyncio.create_task(subject.wait(item))
        await asyncio.sleep(0.05)
        decisions = ("GRANTED", "REJECTED")
        counted = await asyncio.gather(*(subject.decide(item, each) for each in decisions))
        won = [each for each, counts in zip(decisions, counted, strict=True) if counts]
        accepted += len(won)
        agreed += [await waiting] == won
    return f"{accepted / RACES:g} of 2 told it counts, waiter agrees {agreed} of {RACES}"


async def _killed(subject: Subject) -> str:
    item = await subject.make()
    async with _process(subject.process(item, decided=False)):
        pass
    if not isinstance(subject, OfBus):
        await subject.decide(item, "GRANTED")
    return await _begun_again(subject, item)


async def _killed_when_told(subject: Subject) -> str:
    item = await subject.make()
    async with _process(subject.process(item, decided=True)) as process:
        if not isinstance(subject, OfBus):
            await subject.decide(item, "GRANTED")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await _hear(process, "told")
    return await _begun_again(subject, item)


async def _begun_again(subject: Subject, item: Item) -> str:
    async with _process(subject.process(item, decided=False)) as process:
        told = await _told(_hear(process, "told"), time.perf_counter())
    return "told" if told != NOT_TOLD else told


async def _told(waiting: Awaitable[object], began: float) -> str:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await waiting
            return f"told after {(time.perf_counter() - began) * 1000:.0f} ms"
    return NOT_TOLD


@asynccontextmanager
async def _process(arguments: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Have a process wait, and kill it after the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.waiter", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        await _hear(process, "waiting")
        await asyncio.sleep(UNDERWAY_SECONDS)
        yield process
    finally:
        process.kill()
        await process.wait()


async def _hear(process: asyncio.subprocess.Process, word: str) -> None:
    assert process.stdout is not None
    heard = await process.stdout.readline()
    assert heard.decode().strip() == word, f"the waiting process said {heard!r}"
