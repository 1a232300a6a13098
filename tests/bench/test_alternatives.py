"""The alternatives that Placet is compared with work as designed."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from bench.alternatives import Bus, Table
from tests.support.patience import HANGS

"""What only a hang would take."""


@pytest.fixture
async def table(database_url: str) -> AsyncIterator[Table]:
    async with Table.open(database_url) as opened:
        yield opened


async def test_a_bus_reaches_current_subscribers_and_no_later_ones() -> None:
    bus = Bus()
    async with bus.subscribed("x") as first, bus.subscribed("x") as second:
        bus.publish("x", "GRANTED")
        async with bus.subscribed("x") as later:
            assert (first.get_nowait(), second.get_nowait()) == ("GRANTED", "GRANTED")
            assert later.empty()
    assert not bus.subscribers


async def test_a_table_answers_waits_that_begin_before_or_after_the_decision(table: Table) -> None:
    before, after = await table.add(2)
    waiting = asyncio.create_task(table.wait(before))
    assert await table.decide(after, "REJECTED")
    assert await table.decide(before, "GRANTED")
    async with asyncio.timeout(HANGS):
        assert (await waiting, await table.wait(after)) == ("GRANTED", "REJECTED")


async def test_of_two_decisions_in_a_table_one_counts(table: Table) -> None:
    [machine] = await table.add(1)
    counts = await asyncio.gather(*(table.decide(machine, each) for each in ("GRANTED", "NO")))
    assert sorted(counts) == [False, True]


async def test_a_table_whose_poll_was_cut_off_is_polled_again(
    table: Table, database_url: str
) -> None:
    first, second = await table.add(2)
    await table.decide(first, "GRANTED")
    async with asyncio.timeout(HANGS):
        await table.wait(first)
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute("SELECT pg_terminate_backend(%s)", [table.poller])
        await table.decide(second, "GRANTED")
        assert await table.wait(second) == "GRANTED"
