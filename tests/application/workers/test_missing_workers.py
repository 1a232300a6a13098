"""If a worker's connection breaks, its lease ends after its grace."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import psycopg
import pytest

from application.event_store.schema import create_tables
from tests.application.server_process import ServerProcess
from tests.application.workers.test_dispatcher import LEASE, Worker, worker
from tests.domain.people import ENGINE
from tests.support.patience import HANGS

SOON = timedelta(seconds=0.05)
SHORT = timedelta(seconds=1)


def left(process: ServerProcess) -> timedelta:
    """Return for how long the first worker's lease still runs, by the database's clock."""
    with psycopg.connect(process.url) as connection:
        found = connection.execute(
            "SELECT expires_at - clock_timestamp() FROM worker_leases WHERE worker = 'one'"
        ).fetchone()
    assert found is not None
    remaining: timedelta = found[0]
    return remaining


async def settled(process: ServerProcess) -> None:
    """Wait until broken connections have been handled."""
    await asyncio.gather(*process.dispatcher._ending)


async def ended(one: Worker) -> None:
    """Wait until the stream ends by itself."""
    with pytest.raises(StopAsyncIteration):
        await one.next()


async def test_another_takes_over_after_the_grace(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not found by chance: no sweep is due, and none is under way when the connection breaks off.
    monkeypatch.setattr("application.workers.claim_scheduler.SWEEP_EVERY", 600)
    sweep, next_expiry = process.dispatcher._claims._sweep, process.leases.next_expiry
    closed, under_way = asyncio.Event(), 0

    async def begun() -> None:
        nonlocal under_way
        under_way += 1
        await sweep()

    async def over() -> float | None:
        nonlocal under_way
        under_way -= 1
        return await next_expiry() if closed.is_set() else None

    monkeypatch.setattr(process.dispatcher._claims, "_sweep", begun)
    monkeypatch.setattr(process.leases, "next_expiry", over)
    execution = await process.start()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(worker(process, capacity=1, grace=SOON, cut=True))
        await one.claimed()
        async with worker(process, "two") as two:
            claimed = asyncio.create_task(two.claimed())
            await process.start()
            await claimed
            while under_way or process.dispatcher._claims._sweep_now.is_set():
                await asyncio.sleep(0.01)
            closed.set()
            await stack.aclose()
            granted = await two.claimed()
    assert (granted.execution.id, granted.fence) == (execution.id, 2)


@pytest.mark.parametrize(
    ("grace", "cut"), [(None, True), (SOON, False), (LEASE * 2, True)], ids=str
)
async def test_without_a_shorter_grace_or_a_broken_connection_the_lease_runs_on(
    process: ServerProcess, grace: timedelta | None, *, cut: bool
) -> None:
    await process.start()
    async with worker(process, grace=grace, cut=cut) as one:
        await one.claimed()
    await settled(process)
    assert LEASE - timedelta(seconds=20) < left(process) <= LEASE


async def test_a_worker_that_was_heard_of_since_keeps_its_lease(process: ServerProcess) -> None:
    await process.start()
    async with worker(process, grace=SOON, cut=True) as one:
        await one.claimed()
        await process.leases.heartbeat(ENGINE, "one", LEASE)
    await settled(process)
    assert left(process) > SOON


async def test_a_worker_with_a_later_stream_keeps_its_lease(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process, ServerProcess.open(log_url) as other:
        await process.start()
        for there in (process, other):
            async with AsyncExitStack() as stack:
                first = await stack.enter_async_context(worker(process, grace=SOON, cut=True))
                await first.claimed()
                async with worker(there) as second:
                    await second.claimed()
                    await stack.aclose()
                    await settled(process)
                    assert left(process) > SOON


async def test_a_stream_ends_when_its_worker_opens_one_at_another_process(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process, ServerProcess.open(log_url) as other:
        await process.start()
        async with worker(process, lease=SHORT, grace=SOON, cut=True) as first:
            await first.claimed()
            async with worker(other) as second:
                await second.claimed()
                await ended(first)
                assert left(process) > SHORT


async def test_a_stream_ends_when_its_worker_polls(process: ServerProcess) -> None:
    execution = await process.start()
    async with worker(process, lease=SHORT, grace=SOON, cut=True) as one:
        await one.claimed()
        await process.long_polling.claim(
            ENGINE, "one", ["none"], 1, LEASE, wait=timedelta(0), holding={execution.id: None}
        )
        await ended(one)
    await settled(process)
    assert left(process) > SHORT


async def test_a_lease_without_a_stream_is_renewed_by_the_next_stream(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        await process.leases.claim(ENGINE, "one", ["default"], 1, SHORT)
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute("ALTER TABLE worker_leases DROP COLUMN stream")
        create_tables(log_url)
        async with worker(process, lease=SHORT) as one:
            granted = await one.claimed()
            assert (granted.execution.id, granted.fence) == (execution.id, 1)
            end = granted.lease_expires_at
            async with asyncio.timeout(HANGS):
                while await process.leases.renew(ENGINE.id, "other", timedelta(0)) < end:
                    await asyncio.sleep(0.05)
            assert left(process) > timedelta(0)


async def test_a_server_that_ends_does_not_shorten_leases(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        await process.start()
        async with worker(process, grace=SOON, cut=True) as one:
            await one.claimed()
            await process.dispatcher.close()
        assert not process.dispatcher._ending
        assert left(process) > SOON


async def test_a_server_that_has_ended_shortens_no_lease(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        await process.start()
        async with await psycopg.AsyncConnection.connect(process.url) as other:
            async with worker(process, grace=SOON, cut=True) as one:
                await one.claimed()
                await other.execute("SELECT FROM worker_leases FOR UPDATE")
            [ending] = process.dispatcher._ending
            async with asyncio.timeout(HANGS):
                await process.dispatcher.close()
            assert ending.done()
        assert left(process) > SOON
