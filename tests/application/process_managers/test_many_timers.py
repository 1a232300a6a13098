"""Many timers due at about the same time: none fires early, each fires once, and who fires them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from application.command_handling.outcomes import Outcome
from application.command_handling.requests import Request
from domain.execution.commands import FireTimer, SetTimer
from domain.execution.events import TimerFired
from tests.application.server_process import ServerProcess, accepted
from tests.domain.people import ENGINE
from tests.support.patience import HANGS

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


async def fired(process: ServerProcess, ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """Wait until the timers of these have fired, and return when each did."""
    left, found = set(ids), {}
    async with asyncio.timeout(HANGS):
        async for batch in process.tail.follow(0):
            for event in (each.recorded for each in batch.events):
                if isinstance(event.event, TimerFired) and event.execution_id in left:
                    left.discard(event.execution_id)
                    found[event.execution_id] = event.at
            if not left:
                break
    return found


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


async def test_under_load_each_fires_and_none_early(process: ServerProcess) -> None:
    due = await many(process)
    async with busy(process):
        times = await fired(process, due)
    assert min(at - due[id_] for id_, at in times.items()) >= timedelta(0)


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
