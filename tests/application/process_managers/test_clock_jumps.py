"""A wrong clock of the database affects only executions that are touched meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from application.event_store import clock_guard
from application.event_store.clock_guard import SETTLES_AFTER, ClockGuard
from domain.execution.commands import SetTimer
from domain.execution.events import TimerFired
from tests.application.server_process import ServerProcess, step
from tests.domain.people import ENGINE

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

# Found before PostgreSQL's own function by every session, because of its search path.
_CLOCK = """
    CREATE SCHEMA wrong;
    CREATE TABLE wrong.by (amount interval NOT NULL);
    INSERT INTO wrong.by VALUES ('0');
    CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        'SELECT pg_catalog.clock_timestamp() + amount FROM wrong.by';
    DO $$ BEGIN
        EXECUTE format(
            'ALTER DATABASE %I SET search_path = public, wrong, pg_catalog', current_database()
        );
    END $$
"""


@pytest.fixture
def settable_url(log_url: str) -> str:
    """A database whose clock the test can set."""
    with psycopg.connect(log_url, autocommit=True) as connection:
        connection.execute(_CLOCK)
    return log_url


@contextmanager
def set_by(url: str, amount: timedelta) -> Iterator[None]:
    """Set the database's clock ahead, or back, for the time of the block."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE wrong.by SET amount = %s", [amount])
        try:
            yield
        finally:
            connection.execute("UPDATE wrong.by SET amount = '0'")


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_jump_of_the_clock_stays_with_the_executions_that_it_touched(
    settable_url: str, jump: timedelta
) -> None:
    async with ServerProcess.open(settable_url) as process:
        waiting, touched = await process.start(), await process.start()
        hour = SetTimer(by=ENGINE, execution_id=waiting.id, key="h", delay=timedelta(hours=1))
        await process.do(hour)
        # It has fired once, so the process leads and has looked at the clock.
        soon = SetTimer(by=ENGINE, execution_id=touched.id, key="s", delay=timedelta())
        await process.do(soon)
        await process.until(touched.id, TimerFired)

        with set_by(settable_url, jump):
            await process.do(step(touched.id, "during"))
            # Fires by the time that went on before the jump, so the process has looked again.
            other = await process.start()
            due = SetTimer(by=ENGINE, execution_id=other.id, key="d", until=NOON)
            await process.do(due)
            await process.until(other.id, TimerFired)

        still = await process.reader.execution(waiting.id)
        assert still is not None
        assert still.timers["h"].pending
        fresh = await process.start()
        await process.do(
            SetTimer(by=ENGINE, execution_id=fresh.id, key="f", delay=timedelta(seconds=0.2))
        )
        [fired] = await process.until(fresh.id, TimerFired)
        assert abs(fired.at - datetime.now(UTC)) < timedelta(minutes=1)
        assert abs((await process.do(step(waiting.id, "after"))).at - fired.at) < timedelta(
            minutes=1
        )


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_jump_of_the_clock_takes_no_execution_from_a_live_worker(
    settable_url: str, jump: timedelta
) -> None:
    async with ServerProcess.open(settable_url) as process:
        execution = await process.start()
        leases, minute = process.leases, timedelta(minutes=1)
        await leases.claim(ENGINE, "alive", ["default"], 1, minute)

        with set_by(settable_url, jump):
            assert await leases.claim(ENGINE, "other", ["default"], 1, minute) == []

        assert await leases.claim(ENGINE, "other", ["default"], 1, minute) == []
        held = await process.reader.execution(execution.id)
        assert held is not None
        assert held.worker == "alive"


async def test_a_lease_that_was_renewed_by_a_wrong_clock_does_not_last_for_a_day(
    settable_url: str,
) -> None:
    async with ServerProcess.open(settable_url) as process:
        execution = await process.start()
        leases, minute = process.leases, timedelta(minutes=1)
        await leases.claim(ENGINE, "killed", ["default"], 1, minute)
        with set_by(settable_url, DAY):
            await leases.heartbeat(ENGINE, "killed", minute)

        [grant] = await leases.claim(ENGINE, "other", ["default"], 1, minute)

        assert (grant.execution.id, grant.execution.worker) == (execution.id, "other")


def test_a_clock_that_stays_ahead_is_believed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0.0
    monkeypatch.setattr(clock_guard, "monotonic", lambda: passed)
    guard = ClockGuard()
    assert guard.time(NOON) == NOON

    for passed in (1.0, 5.0, SETTLES_AFTER):
        elapsed = timedelta(seconds=passed)
        assert guard.time(NOON + DAY + elapsed) == NOON + elapsed
    passed = SETTLES_AFTER + 1.0
    later = NOON + DAY + timedelta(seconds=passed)
    assert guard.time(later) == later


def test_after_a_wrong_second_the_right_time_is_believed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed = 0.0
    monkeypatch.setattr(clock_guard, "monotonic", lambda: passed)
    guard = ClockGuard()
    guard.time(NOON)

    for wrong in (DAY, -DAY):
        passed += 1
        right = NOON + timedelta(seconds=passed)
        assert guard.time(right + wrong) == min(right, right + wrong)
        assert guard.time(right) == right
