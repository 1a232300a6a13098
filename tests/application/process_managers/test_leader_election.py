"""Of all processes on one database one leads. Another takes over if it dies or stops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from application.process_managers import leader_election
from application.process_managers.leader_election import LeaderElection
from tests.support.patience import HANGS
from tests.support.proxy import Wire


@asynccontextmanager
async def standing(url: str) -> AsyncIterator[LeaderElection]:
    election = LeaderElection(url)
    await election.start()
    try:
        yield election
    finally:
        await election.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANGS):
        while not holds():
            await asyncio.sleep(0.01)


async def test_one_process_leads_and_the_other_when_the_first_stops(log_url: str) -> None:
    async with standing(log_url) as one:
        await one.elected()
        async with standing(log_url) as two:
            await asyncio.sleep(3 * leader_election.CHECK_EVERY)
            assert (one.leads, two.leads) == (True, False)
            await one.close()
            await two.elected()
            assert not one.leads


async def test_a_leader_that_loses_its_session_no_longer_leads(log_url: str) -> None:
    async with standing(log_url) as one, standing(log_url) as two:
        await until(lambda: one.leads or two.leads)
        leader = one if one.leads else two
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND pid IN (SELECT pid FROM pg_stat_activity"
                " WHERE application_name = 'placet-leader' AND datname = current_database())"
            )
        await until(lambda: not leader.leads)
        await until(lambda: one.leads is not two.leads)


@pytest.mark.both_servers
async def test_a_leader_that_stops_responding_is_replaced(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader_election, "IDLE_SECONDS", 1)
    monkeypatch.setattr(leader_election, "ANSWER_TIMEOUT", 0.3)
    with Wire.open(log_url, tmp_path) as wire:
        async with standing(wire.url) as silent:
            await silent.elected()
            async with standing(log_url) as other:
                wire.silent = True
                await until(lambda: not silent.leads)
                await other.elected()
