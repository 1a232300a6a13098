"""What clients may read: a share of the connections, and a share of the memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from psycopg_pool import PoolTimeout

from application.event_store.reading import (
    READING,
    ReadLimitError,
    ReadLimits,
    ReadShareError,
    SharedPool,
)

LIMITS = ReadLimits(request=1_000, client=1_500, followers=2)


@pytest.fixture
async def pool(log_url: str) -> AsyncIterator[SharedPool]:
    async with SharedPool(
        log_url, limits=LIMITS, min_size=2, max_size=2, timeout=0.5, open=False
    ) as pool:
        yield pool


async def in_request(pool: SharedPool, client: str, held: asyncio.Event) -> int:
    """Read something in a request of its own, as long as ``held`` is not set."""
    pool.begin(client)
    async with pool.connection() as connection:
        await held.wait()
        row = await (await connection.execute("SELECT 1")).fetchone()
        assert row is not None
        return int(row[0])


async def test_one_client_can_t_take_the_connections_of_another(pool: SharedPool) -> None:
    never, now = asyncio.Event(), asyncio.Event()
    now.set()
    greedy = [asyncio.create_task(in_request(pool, "greedy", never)) for _ in range(5)]
    await asyncio.sleep(0)
    assert await in_request(pool, "other", now) == 1
    never.set()
    outcomes = await asyncio.gather(*greedy, return_exceptions=True)
    assert outcomes.count(1) >= 1


async def test_a_client_that_waits_too_long_for_its_own_connections_is_told(
    pool: SharedPool,
) -> None:
    never = asyncio.Event()
    first = asyncio.create_task(in_request(pool, "greedy", never))
    await asyncio.sleep(0.1)
    with pytest.raises(PoolTimeout, match="of this client"):
        await asyncio.create_task(in_request(pool, "greedy", never))
    never.set()
    assert await first == 1


async def test_a_request_reads_one_thing_at_a_time(pool: SharedPool) -> None:
    pool.begin("ann")
    reading = READING.get()
    assert reading is not None
    async with pool.connection():
        assert reading.turn.locked()


async def test_a_request_reads_no_more_than_its_limit(pool: SharedPool) -> None:
    reading = pool.begin("ann")
    reading.charge(1_000)
    with pytest.raises(ReadLimitError, match="ask for less at once"):
        reading.charge(1)
    with pytest.raises(ReadLimitError):
        async with pool.connection():
            pass


async def test_the_requests_of_a_client_hold_no_more_than_its_share(pool: SharedPool) -> None:
    first, second, other = pool.begin("ann"), pool.begin("ann"), pool.begin("bob")
    first.charge(900)
    with pytest.raises(ReadShareError, match="wait for answers"):
        second.charge(900)
    other.charge(900)
    second.let_go()
    first.finish()
    second.charge(900)


async def test_a_client_follows_the_log_a_limited_number_of_times(pool: SharedPool) -> None:
    first, second, third = (pool.begin("ann") for _ in range(3))
    other = pool.begin("bob")
    with first.following():
        with (
            second.following(),
            other.following(),
            pytest.raises(ReadLimitError, match="already has 2 subscriptions"),
            third.following(),
        ):
            pass
        with third.following():
            pass


async def test_what_the_server_reads_for_itself_is_not_limited(pool: SharedPool) -> None:
    async with pool.connection(), pool.connection() as connection:
        await connection.execute("SELECT 1")
