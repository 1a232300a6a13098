"""Two servers on one database fire each timer once, and either one can take over."""

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.stack import Stack
from tests.sdk.people import People, until
from tests.system.conftest import Opened

TIMERS = 60
AT_ONCE = 10
FIRST, APART = timedelta(seconds=0.5), timedelta(seconds=0.02)


async def fire(server: Stack, database: str) -> None:
    """Set timers through a server, due one after the other, and wait until all have fired."""
    async with AsyncExitStack() as stack:
        people = People(server, stack)
        engine = await people.get("engine")
        for first in range(0, TIMERS, AT_ONCE):
            ids = await asyncio.gather(*(people.start("timed") for _ in range(AT_ONCE)))
            await asyncio.gather(
                *(
                    engine.set_timer(id_, "due", delay=FIRST + number * APART)
                    for number, id_ in enumerate(ids, first)
                )
            )

    async def none_is_left() -> bool | None:
        with psycopg.connect(database) as connection:
            row = connection.execute("SELECT count(*) FROM execution_timers").fetchone()
        return row == (0,) or None

    await until(none_is_left)


def attempts(server: Stack) -> int:
    """Return how often this server's clock tried to let a timer fire."""
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    return sum(
        int(sample.value)
        for family in families
        for sample in family.samples
        if sample.name == "placet_commands_total" and sample.labels["command"] == "FireTimer"
    )


async def attempts_after(*servers: Stack, fired: int) -> int:
    """Wait until the servers have sent FireTimer so often, and return how often they have."""

    async def enough() -> int | None:
        tried = sum(map(attempts, servers))
        return tried if tried >= fired else None

    return await until(enough)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_each_timer_is_fired_once_and_another_server_takes_over_from_the_leader(
    open_server: Opened, database: str, fault: signal.Signals
) -> None:
    servers = [open_server(), open_server()]
    await fire(servers[1], database)
    assert await attempts_after(*servers, fired=TIMERS) == TIMERS
    other, leader = sorted(servers, key=attempts)
    before = attempts(other)
    leader.process.send_signal(fault)
    try:
        await fire(other, database)
        assert await attempts_after(other, fired=before + TIMERS) == before + TIMERS
    finally:
        leader.process.send_signal(signal.SIGCONT)
