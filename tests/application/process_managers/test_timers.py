"""Timers fire once and never early, by the database's time."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from application.command_handling.outcomes import Accepted
from domain.execution.commands import (
    CancelExecution,
    CancelTimer,
    FailExecution,
    RetryExecution,
    SetTimer,
)
from domain.execution.events import TimerFired
from tests.application.server_process import ServerProcess
from tests.domain.people import ENGINE, OLIVIA
from tests.support.patience import HANGS

SOON = timedelta(milliseconds=50)
LATER = timedelta(days=90)


def timer(execution_id: UUID, key: str = "due", delay: timedelta = SOON) -> SetTimer:
    return SetTimer(by=ENGINE, execution_id=execution_id, key=key, delay=delay)


def kept(process: ServerProcess) -> set[str]:
    with psycopg.connect(process.url) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM execution_timers")}


async def test_a_timer_fires_and_never_early(process: ServerProcess) -> None:
    executions = [await process.start() for _ in range(20)]
    for number, execution in enumerate(executions):
        await process.do(timer(execution.id, delay=SOON + number * timedelta(milliseconds=7)))

    for execution in executions:
        [fired] = await process.until(execution.id, TimerFired)
        state = await process.reader.execution(execution.id)
        assert state is not None
        assert fired.at >= state.timers["due"].fires_at
        assert fired.actor.id == "placet"
    assert kept(process) == set()


async def test_a_timer_for_a_moment_that_is_past_fires_at_once(process: ServerProcess) -> None:
    execution = await process.start()
    past = datetime(2020, 1, 1, tzinfo=UTC)
    await process.do(SetTimer(by=ENGINE, execution_id=execution.id, key="due", until=past))
    await process.until(execution.id, TimerFired)


async def test_a_timer_outlives_the_process(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        await process.timers.close()
        await process.do(timer(execution.id))
        await process.do(timer(execution.id, "later", LATER))
    async with ServerProcess.open(log_url) as another:
        [fired] = await another.until(execution.id, TimerFired)
        assert fired.event == TimerFired(key="due")
        assert kept(another) == {"later"}


async def test_of_two_processes_one_fires_a_timer_and_the_other_takes_over(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        execution = await one.start()
        for number in range(10):
            await two.do(timer(execution.id, f"first-{number}"))
        await two.until(execution.id, TimerFired, 10)
        leader, other = (one, two) if one.election.leads else (two, one)
        await leader.election.close()
        await other.do(timer(execution.id, "second"))
        fired = await two.until(execution.id, TimerFired, 11)
        assert len({each.event for each in fired}) == 11


async def test_the_timers_of_an_ended_execution_are_deleted_and_return_with_a_retry(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    await process.do(timer(execution.id, "a", LATER))
    await process.do(timer(execution.id, "b", LATER))
    await process.do(CancelTimer(by=ENGINE, execution_id=execution.id, key="b"))
    assert kept(process) == {"a"}
    failed = await process.do(FailExecution(by=ENGINE, execution_id=execution.id, error="x"))
    assert kept(process) == set()
    version = failed.execution.version
    await process.do(RetryExecution(by=OLIVIA, execution_id=execution.id, expected_version=version))
    assert kept(process) == {"a"}
    await process.do(CancelExecution(by=OLIVIA, execution_id=execution.id, reason="x"))
    assert kept(process) == set()


async def test_a_damaged_execution_does_not_delay_the_timers_of_others(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        damaged, sound = await process.start(), await process.start()
        await process.do(timer(damaged.id, delay=timedelta(0)))
        await process.until(damaged.id, TimerFired)
        await process.timers.close()
        await process.do(timer(damaged.id, "again", timedelta(0)))
        process.damage(damaged.id)
    async with ServerProcess.open(log_url) as fresh:
        await fresh.do(timer(sound.id))
        await fresh.until(sound.id, TimerFired)
        assert kept(fresh) == {"again"}


async def test_timers_due_while_the_database_was_unavailable_fire_afterwards(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    await process.do(timer(execution.id, delay=timedelta(milliseconds=300)))
    with psycopg.connect(process.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await process.until(execution.id, TimerFired)


async def test_many_at_once_all_fire(process: ServerProcess) -> None:
    execution = await process.start()
    await asyncio.gather(*(process.do(timer(execution.id, f"t{n}")) for n in range(600)))
    fired = await process.until(execution.id, TimerFired, 600)
    assert len({each.event for each in fired}) == 600


async def test_a_timer_that_is_cancelled_and_set_in_one_commit_has_its_new_moment(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    await process.do(timer(execution.id, "a", LATER))
    # A key can be set anew after it was cancelled and the execution was retried.
    for outcome in await process.send(
        CancelTimer(by=ENGINE, execution_id=execution.id, key="a"),
        FailExecution(by=ENGINE, execution_id=execution.id, error="x"),
        RetryExecution(by=OLIVIA, execution_id=execution.id, expected_version=4),
        timer(execution.id, "a", SOON),
    ):
        assert isinstance(outcome, Accepted)
    await process.until(execution.id, TimerFired)


@pytest.mark.parametrize("gone", [True, False], ids=["of nobody", "of another time"])
async def test_a_row_without_a_pending_timer_is_deleted(
    process: ServerProcess, *, gone: bool
) -> None:
    execution = await process.start()
    with psycopg.connect(process.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO execution_timers VALUES (%s, 'stray', clock_timestamp())",
            [uuid4() if gone else execution.id],
        )
    await process.do(timer(execution.id, delay=timedelta(0)))
    await process.until(execution.id, TimerFired)
    async with asyncio.timeout(HANGS):
        while kept(process):
            await asyncio.sleep(0.01)
