"""A decision made without the lock is answered only if it is still true under the lock."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import psycopg
import pytest

from application import metrics
from application.command_handling.batch import CommandBatch
from application.command_handling.batch_loader import BatchLoader
from application.command_handling.outcomes import Accepted, Outcome, Refused, UnavailableError
from application.command_handling.requests import Request, RequestGroup
from application.command_handling.unit_of_work import Committed, OvertakenError, UnitOfWork
from application.event_store import database_clock
from application.event_store.chained_events import Head
from application.event_store.database_clock import FRESH_SECONDS, DatabaseClock
from domain.execution.commands import CancelExecution, Command, SetTimer, StartExecution
from domain.execution.events import TimerFired
from domain.refusals import RefusalCode
from tests.application.server_process import (
    ServerProcess,
    accepted,
    claim,
    complete,
    grant,
    refused,
    step,
)
from tests.domain.people import ENGINE, OLIVIA
from tests.support.patience import HANGS
from tests.support.proxy import Wire


async def database_now(url: str) -> datetime:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
    assert row is not None
    return cast("datetime", row[0])


SOME_TIME = datetime(2026, 1, 1, tzinfo=UTC)
LATE = timedelta(milliseconds=100)
"""By so much the estimated time of a batch may be behind when it is committed."""


def overtaken() -> float:
    """Return how many batches were decided again."""
    return float(metrics.OVERTAKEN._value.get())


def overtaken_in_time(process: ServerProcess) -> list[CommandBatch]:
    """Collect the batches that are decided again although their commits were not late.

    A commit that comes a tenth of a second after the decision is late. On a machine with much else
    to do, that happens to any batch.
    """
    found: list[CommandBatch] = []
    unit_of_work = process.writer._unit_of_work
    commit = unit_of_work.commit_expecting

    async def watched(batch: CommandBatch, heads: Mapping[UUID, Head | None]) -> Committed:
        try:
            return await commit(batch, heads)
        except OvertakenError:
            if await database_now(process.url) - batch.now < LATE:
                found.append(batch)
            raise

    unit_of_work.commit_expecting = watched  # type: ignore[method-assign]
    return found


async def test_without_other_processes_no_batch_is_decided_twice(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        found = overtaken_in_time(process)
        execution = await process.start()
        await process.do(claim(execution.id))
        approval = await process.ask(execution.id, fence=1)
        await process.do(grant(approval))
        await process.do(complete(execution.id, fence=1))
    assert found == []


@pytest.mark.parametrize(
    "command", [lambda id_: step(id_, "one"), complete], ids=["repeat", "refusal"]
)
async def test_a_refusal_or_repeat_sees_what_another_process_recorded(
    log_url: str, command: Callable[[UUID], Command]
) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        execution = await one.start()
        await one.do(step(execution.id, "one"))
        # Otherwise it might read the end before the command.
        await one.tail.close()
        await two.do(CancelExecution(by=OLIVIA, execution_id=execution.id, reason="no"))
        before = overtaken()
        [outcome] = await one.send(command(execution.id))
        assert overtaken() == before + 1
        assert isinstance(outcome, Accepted | Refused)
        assert outcome.execution is not None
        assert outcome.execution.state.final


async def test_a_start_key_that_another_process_has_used_starts_nothing(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start() -> StartExecution:
        return StartExecution(by=OLIVIA, execution_id=uuid4(), workflow="w", key="k")

    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        await one.start()
        first = await two.do(start())
        # As if it had been looked for a moment earlier.
        monkeypatch.setattr(one.writer._unit_of_work, "find_start_keys", AsyncMock(return_value={}))
        second = await one.do(start())
    assert second.repeated
    assert second.execution.id == first.execution.id


async def test_a_commit_that_fails_at_its_end_is_not_reported_as_done(log_url: str) -> None:
    """A deferred constraint is looked at after the last statement was answered."""
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute("""
                CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE check_violation; END $$
            """)
            connection.execute("""
                CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON execution_events
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()
            """)
            [outcome] = await process.send(step(execution.id, "one"))
            assert isinstance(outcome, UnavailableError)
            connection.execute("DROP TRIGGER fails ON execution_events")
        assert (await process.do(step(execution.id, "one"))).execution.version == 2


async def test_nothing_is_sent_on_a_connection_that_the_server_closed(log_url: str) -> None:
    """What was sent on it might have been committed, for all that anybody could say."""
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(%s, 5000)",
                (process.writer._unit_of_work.backend_pid,),
            )
        looked_up: list[object] = []
        process.writer._look_up = looked_up.append  # type: ignore[assignment,method-assign]
        assert not (await process.do(step(execution.id, "one"))).repeated
        assert not looked_up


async def test_several_processes_have_the_same_result_as_one(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        executions = [await one.start() for _ in range(3)]

        async def work(process: ServerProcess) -> list[Outcome]:
            outcomes = []
            for n in range(60):
                each = executions[n % 3]
                outcomes += await process.send(step(each.id, str(n)), step(each.id, f"{n} again"))
            return outcomes

        found = await asyncio.gather(work(one), work(two))
        for first, second in zip(*found, strict=True):
            assert [accepted(first).repeated, accepted(second).repeated].count(False) == 1
            assert accepted(first).position == accepted(second).position
        for each in executions:
            history = await one.reader.history(each.id)
            assert [event.recorded.version for event in history] == list(range(1, 42))
            times = [event.recorded.at for event in history]
            assert times == sorted(times)


def test_a_reading_of_the_clock_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    monkeypatch.setattr(database_clock, "monotonic", lambda: clock)
    here = DatabaseClock()
    assert here.now() is None
    here.set(SOME_TIME)
    clock = FRESH_SECONDS
    assert here.now() is not None
    clock += 0.001
    assert here.now() is None
    here.set(SOME_TIME - timedelta(hours=1))
    clock += 1
    then = SOME_TIME - timedelta(hours=1) + timedelta(seconds=1)
    # Of two clocks that go apart, the other is never taken to be later than it is.
    now = here.now()
    assert now is not None
    assert then - timedelta(milliseconds=1) <= now < then
    here.forget()
    assert here.now() is None


async def test_a_claim_after_a_release_reads_the_current_holder(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        execution = await one.start()
        first = claim(execution.id, worker="first")
        await one.do(first)
        await one.leases.renew(first.by.id, "first", timedelta(seconds=30))
        await one.leases.release(first.by, "first", [execution.id])
        second = await two.do(claim(execution.id, worker="second"))
        await two.leases.renew(first.by.id, "second", timedelta(seconds=30))
        assert second.execution.fence > 1
        [outcome] = await one.send(claim(execution.id, worker="third"))
        refused(outcome, RefusalCode.INVALID_TRANSITION)


@pytest.mark.parametrize(
    "wrong", [timedelta(hours=-1), timedelta(seconds=-1), timedelta(seconds=30)]
)
async def test_a_wrong_estimate_of_the_time_is_not_recorded(log_url: str, wrong: timedelta) -> None:
    """The machine slept, or a clock was set."""
    async with ServerProcess.open(log_url) as process:
        await process.start()
        # The look at the clock with which a writer begins may come after its first commit.
        await process.start()
        before, real = overtaken(), await database_now(log_url)
        process.writer._unit_of_work.clock.set(real + wrong)
        started = await process.start()
        assert overtaken() == before + 1
        assert real <= started.updated_at <= await database_now(log_url)
        found = overtaken_in_time(process)
        await process.start()
        assert found == []


async def test_a_timer_is_set_and_fires_by_the_database_s_clock(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        delay = timedelta(milliseconds=30)
        real = await database_now(log_url)
        late = timedelta(milliseconds=-90)
        process.writer._unit_of_work.clock.set(real + late)
        timer = SetTimer(by=ENGINE, execution_id=execution.id, key="t", delay=delay)
        [outcome] = await process.send(timer)
        assert accepted(outcome).execution.updated_at >= real
        for _ in range(20):
            process.writer._unit_of_work.clock.set(await database_now(log_url) + late)
        [fired] = await process.until(execution.id, TimerFired)
        assert fired.at >= accepted(outcome).execution.updated_at + delay


async def test_after_a_quiet_period_the_time_is_known_and_the_connection_works(
    log_url: str,
) -> None:
    async with ServerProcess.open(log_url, clock_interval=0.05) as process:
        unit_of_work = process.writer._unit_of_work
        async with asyncio.timeout(HANGS):
            # Nobody has commanded anything yet.
            while unit_of_work.clock.now() is None:
                await asyncio.sleep(0.01)
            before = unit_of_work.backend_pid
            with psycopg.connect(log_url, autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
            while unit_of_work.backend_pid in {None, before} or unit_of_work.clock.now() is None:
                await asyncio.sleep(0.01)
        found = overtaken_in_time(process)
        commit = AsyncMock(wraps=unit_of_work.commit_expecting)
        unit_of_work.commit_expecting = commit  # type: ignore[method-assign]
        await process.start()
        commit.assert_awaited_once()
        assert found == []


async def test_the_clock_of_an_old_connection_is_not_used_for_a_new_one(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        await process.start()
        assert process.writer._unit_of_work.clock.now() is not None
        await process.writer._unit_of_work.drop()
        assert process.writer._unit_of_work.clock.now() is None


async def test_a_commit_that_is_not_found_may_still_happen(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on its way still, for all that anybody knows, so nobody says that nothing was done."""
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as process:
            execution = await process.start()
            look_up = process.writer._look_up

            async def looked_up(batch: CommandBatch) -> Committed | None:
                # As if the commit had not come to the database yet.
                assert await look_up(batch) is not None
                wire.down = True
                wire.cut()
                return None

            monkeypatch.setattr(process.writer, "_look_up", looked_up)
            wire.lose_replies_to = b"execution.step-completed"
            [outcome] = await process.send(step(execution.id, "one"))
            refused(outcome, RefusalCode.OUTCOME_UNKNOWN)
            wire.down = False
            monkeypatch.undo()
            assert (await process.do(step(execution.id, "one"))).repeated


async def test_an_execution_that_the_log_has_lost_is_not_continued(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute("DELETE FROM execution_events")
        [outcome] = await process.send(step(execution.id, "one"))
        refused(outcome, RefusalCode.NOT_FOUND)


async def test_answers_to_a_form_are_checked_before_the_log_is_locked(log_url: str) -> None:
    form = {"properties": {"risk": {"enum": ["low", "high"]}}}
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as other:
        execution = await one.start()
        approval = await one.ask(execution.id, form=form)
        # The other process has to read the execution from the log first.
        answered = grant(approval, answers={"risk": "none"})
        group = RequestGroup([Request(command=answered, command_id=uuid4())], chained=False)
        # Not the writer's own unit of work: the writer uses that one while it is idle, too.
        unit_of_work = UnitOfWork(other.log.log_recorder)
        loader = BatchLoader(unit_of_work, other.writer._states, [group])
        await loader.gather()
        await unit_of_work.drop()
        assert answered.answers_problem == "answers/risk must be one of low, high"
        assert answered.checked_form == form
        [outcome] = await other.send(answered)
        refused(outcome, RefusalCode.INVALID_INPUT)
        assert not accepted(await other.do(grant(approval, answers={"risk": "low"}))).repeated
