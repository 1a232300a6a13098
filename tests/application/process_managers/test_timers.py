"""Timers fire by the database's time: never early, once, whoever runs and whatever ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from domain.execution.commands import (
    CancelExecution,
    CancelTimer,
    FailExecution,
    RetryExecution,
    SetTimer,
)
from domain.execution.events import TimerFired
from tests.application.services import Office
from tests.domain.people import ENGINE, OLIVIA

SOON = timedelta(milliseconds=50)
LATER = timedelta(days=90)


def timer(execution_id: UUID, key: str = "due", delay: timedelta = SOON) -> SetTimer:
    return SetTimer(by=ENGINE, execution_id=execution_id, key=key, delay=delay)


def kept(office: Office) -> set[str]:
    with psycopg.connect(office.url) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM execution_timers")}


async def test_a_timer_fires_and_never_early(office: Office) -> None:
    executions = [await office.start() for _ in range(20)]
    for number, execution in enumerate(executions):
        await office.do(timer(execution.id, delay=SOON + number * timedelta(milliseconds=7)))

    for execution in executions:
        [fired] = await office.until(execution.id, TimerFired)
        state = await office.reader.execution(execution.id)
        assert state is not None
        assert fired.at >= state.timers["due"].fires_at
        assert fired.actor.id == "placet"
    assert kept(office) == set()


async def test_a_timer_for_a_moment_that_is_past_fires_at_once(office: Office) -> None:
    execution = await office.start()
    past = datetime(2020, 1, 1, tzinfo=UTC)
    await office.do(SetTimer(by=ENGINE, execution_id=execution.id, key="due", until=past))
    await office.until(execution.id, TimerFired)


async def test_a_timer_outlives_the_process(log_url: str) -> None:
    async with Office.open(log_url) as office:
        execution = await office.start()
        await office.clock.close()
        await office.do(timer(execution.id))
        await office.do(timer(execution.id, "later", LATER))
    async with Office.open(log_url) as another:
        [fired] = await another.until(execution.id, TimerFired)
        assert fired.event == TimerFired(key="due")
        assert kept(another) == {"later"}


async def test_of_two_processes_one_lets_it_fire_and_the_other_goes_on(log_url: str) -> None:
    async with Office.open(log_url) as one, Office.open(log_url) as two:
        execution = await one.start()
        for number in range(10):
            await two.do(timer(execution.id, f"first-{number}"))
        await two.until(execution.id, TimerFired, 10)
        leader, other = (one, two) if one.election.leads else (two, one)
        await leader.election.close()
        await other.do(timer(execution.id, "second"))
        fired = await two.until(execution.id, TimerFired, 11)
        assert len({each.event for each in fired}) == 11


async def test_the_timers_of_what_is_over_are_gone_and_come_back_with_a_retry(
    office: Office,
) -> None:
    execution = await office.start()
    await office.do(timer(execution.id, "a", LATER))
    await office.do(timer(execution.id, "b", LATER))
    await office.do(CancelTimer(by=ENGINE, execution_id=execution.id, key="b"))
    assert kept(office) == {"a"}
    failed = await office.do(FailExecution(by=ENGINE, execution_id=execution.id, error="x"))
    assert kept(office) == set()
    version = failed.execution.version
    await office.do(RetryExecution(by=OLIVIA, execution_id=execution.id, expected_version=version))
    assert kept(office) == {"a"}
    await office.do(CancelExecution(by=OLIVIA, execution_id=execution.id, reason="x"))
    assert kept(office) == set()


async def test_a_damaged_execution_does_not_hold_up_the_timers_of_others(log_url: str) -> None:
    async with Office.open(log_url) as office:
        damaged, sound = await office.start(), await office.start()
        await office.do(timer(damaged.id, delay=timedelta(0)))
        await office.until(damaged.id, TimerFired)
        await office.clock.close()
        await office.do(timer(damaged.id, "again", timedelta(0)))
        office.damage(damaged.id)
    async with Office.open(log_url) as fresh:
        await fresh.do(timer(sound.id))
        await fresh.until(sound.id, TimerFired)
        assert kept(fresh) == {"again"}


async def test_what_was_missed_while_the_database_was_away_fires_afterwards(
    office: Office,
) -> None:
    execution = await office.start()
    await office.do(timer(execution.id, delay=timedelta(milliseconds=300)))
    with psycopg.connect(office.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await office.until(execution.id, TimerFired)


async def test_many_at_once_all_fire(office: Office) -> None:
    execution = await office.start()
    await asyncio.gather(*(office.do(timer(execution.id, f"t{n}")) for n in range(600)))
    fired = await office.until(execution.id, TimerFired, 600)
    assert len({each.event for each in fired}) == 600
