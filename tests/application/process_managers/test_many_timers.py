"""Many timers due at about the same time: how late they fire, how often, and who fires them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from time import monotonic
from uuid import UUID

import psycopg
import pytest

from application.command_handling.outcomes import Outcome
from application.command_handling.requests import Request
from domain.execution.commands import FireTimer, SetTimer
from domain.execution.events import TimerFired, TimerSet
from tests.application.server_process import ServerProcess, accepted
from tests.domain.people import ENGINE
from tests.support.patience import HANGS

LATEST = timedelta(seconds=1)
AHEAD = timedelta(seconds=1.5)
WAVES, IN_A_WAVE = 30, 10
APART = timedelta(milliseconds=30)


def now(process: ServerProcess) -> datetime:
    """Return the database's time."""
    with psycopg.connect(process.url) as connection:
        [moment] = connection.execute("SELECT clock_timestamp()").fetchone() or ()
        assert isinstance(moment, datetime)
        return moment


async def many(process: ServerProcess) -> dict[UUID, datetime]:
    """Set a timer for each of many executions, in waves, and give when each is due."""
    executions = await asyncio.gather(*(process.start() for _ in range(WAVES * IN_A_WAVE)))
    first = now(process) + AHEAD
    due = {each.id: first + n // IN_A_WAVE * APART for n, each in enumerate(executions)}
    for outcome in await process.send(
        *(
            SetTimer(by=ENGINE, execution_id=execution_id, key="due", until=until)
            for execution_id, until in due.items()
        )
    ):
        accepted(outcome)
    return due


async def fired(
    process: ServerProcess, ids: Iterable[UUID]
) -> dict[UUID, tuple[datetime, datetime]]:
    """Wait until the timers of these have fired; give when each was set and when it fired."""
    left, was_set, all_fired = set(ids), {}, {}
    async with asyncio.timeout(HANGS):
        async for batch in process.tail.follow(0):
            for event in (each.recorded for each in batch.events):
                match event.event:
                    case TimerSet():
                        was_set[event.execution_id] = event.at
                    case TimerFired() if event.execution_id in left:
                        left.discard(event.execution_id)
                        all_fired[event.execution_id] = was_set[event.execution_id], event.at
            if not left:
                break
    return all_fired


@asynccontextmanager
async def busy(process: ServerProcess) -> AsyncIterator[None]:
    """Keep the writer at work meanwhile."""

    async def work() -> None:
        while True:
            await asyncio.gather(*(process.start() for _ in range(IN_A_WAVE)))

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.wait([working])


@contextmanager
def lags() -> Iterator[list[float]]:
    """Collect by how many seconds the machine, which runs other tests too, wakes a thread late."""
    found, ended = [0.0], Event()

    def measure() -> None:
        before = monotonic()
        while not ended.wait(0.01):
            found.append(monotonic() - before - 0.01)
            before = monotonic()

    thread = Thread(target=measure)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


async def test_under_load_none_fires_early_and_none_more_than_a_second_late(
    process: ServerProcess,
) -> None:
    due = await many(process)
    with lags() as machine:
        async with busy(process):
            times = await fired(process, due)
    late = [at - max(due[id_], was_set) for id_, (was_set, at) in times.items()]
    assert min(at - due[id_] for id_, (_, at) in times.items()) >= timedelta(0)
    assert max(late) < LATEST + timedelta(seconds=max(machine))


def count(process: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Counter[UUID]:
    """Count how often this process sends FireTimer to each execution."""
    attempts: Counter[UUID] = Counter()
    handle = process.writer.handle

    async def counted(requests: Sequence[Request], *, chained: bool = False) -> list[Outcome]:
        commands = [each.command for each in requests]
        attempts.update(each.execution_id for each in commands if isinstance(each, FireTimer))
        return await handle(requests, chained=chained)

    monkeypatch.setattr(process.writer, "handle", counted)
    return attempts


async def test_only_the_leader_fires_timers_and_another_process_takes_over(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as other:
        attempts = {each: count(each, monkeypatch) for each in (one, other)}
        due = await many(one)
        await fired(other, due)
        [leader] = [each for each, tried in attempts.items() if tried]
        assert attempts[leader] == dict.fromkeys(due, 1)

        # As when it is killed: its session ends.
        await leader.election.close()
        [follower] = attempts.keys() - {leader}
        due = await many(leader)
        await fired(leader, due)
        assert attempts[follower] == dict.fromkeys(due, 1)
