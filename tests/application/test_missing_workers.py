"""A worker whose connection broke off is not waited for until the end of its lease."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import psycopg
import pytest

from tests.application.office import Office
from tests.application.test_assignments import LEASE, worker
from tests.domain.people import ENGINE

SOON = timedelta(seconds=0.05)


def left(office: Office, worker: str = "one") -> timedelta:
    """Give for how long the worker's lease still runs, by the database's clock."""
    with psycopg.connect(office.url) as connection:
        found = connection.execute(
            "SELECT expires_at - clock_timestamp() FROM worker_leases WHERE worker = %s", (worker,)
        ).fetchone()
    assert found is not None
    remaining: timedelta = found[0]
    return remaining


async def settled(office: Office) -> None:
    """Wait until whoever is missing has been dealt with."""
    await asyncio.gather(*office.assignments._missing)


async def test_another_takes_over_after_the_grace(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not found by chance: a regular sweep does not come in time.
    monkeypatch.setattr("application.assignments.SWEEP_EVERY", 600)
    execution = await office.start()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(worker(office, grace=SOON, cut=True))
        await one.claimed()
        async with worker(office, "two") as two:
            taken_over = asyncio.create_task(two.claimed())
            await asyncio.sleep(0)
            await stack.aclose()
            granted = await taken_over
    assert (granted.execution.id, granted.fence) == (execution.id, 2)


@pytest.mark.parametrize(
    ("grace", "cut"), [(None, True), (SOON, False), (LEASE * 2, True)], ids=str
)
async def test_the_lease_runs_on(office: Office, grace: timedelta | None, *, cut: bool) -> None:
    await office.start()
    async with worker(office, grace=grace, cut=cut) as one:
        await one.claimed()
    await settled(office)
    assert LEASE - timedelta(seconds=20) < left(office) <= LEASE


async def test_whoever_was_heard_of_since_is_not_missing(office: Office) -> None:
    await office.start()
    async with worker(office, grace=SOON, cut=True) as one:
        await one.claimed()
        await office.leases.heartbeat(ENGINE, "one", LEASE)
    await settled(office)
    assert left(office) > SOON


async def test_whoever_has_a_later_stream_is_not_missing(office: Office) -> None:
    await office.start()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(worker(office, grace=SOON, cut=True))
        await first.claimed()
        async with worker(office) as second:
            await second.claimed()
            await stack.aclose()
            await settled(office)
            assert left(office) > SOON


async def test_a_server_that_ends_misses_nobody(log_url: str) -> None:
    async with Office.open(log_url) as office:
        await office.start()
        async with worker(office, grace=SOON, cut=True) as one:
            await one.claimed()
            await office.assignments.close()
        assert not office.assignments._missing
        assert left(office) > SOON
