"""What the writer makes of damage, errors, a lost log, and its own end."""

import asyncio
from collections.abc import Sequence
from typing import NoReturn
from uuid import UUID

import psycopg
import pytest

from application.event_store.chained_events import FoldedEvent
from domain.execution.events import Resumed
from domain.refusals import DamagedEventError, RefusalCode
from domain.serialization.event_codec import encode
from tests.application.server_process import (
    ServerProcess,
    accepted,
    claim,
    grant,
    locked,
    refused,
    step,
    until,
)
from tests.support.audit import findings_of_streams
from tests.support.patience import HANGS


@pytest.mark.unsound
async def test_a_damaged_execution_fails_alone(process: ServerProcess) -> None:
    damaged, sound = await process.start(), await process.start()
    process.damage(damaged.id)
    async with ServerProcess.open(process.url) as fresh:
        broken, fine = await fresh.send(step(damaged.id, "x"), step(sound.id, "x"))
    assert isinstance(broken, DamagedEventError)
    accepted(fine)


async def test_an_unexpected_error_in_one_command_does_not_fail_the_others(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await process.start(), await process.start()

    def faulty(recorded: object) -> bytes:
        event = recorded.event  # type: ignore[attr-defined]
        if getattr(event, "key", None) == "bug":
            raise ZeroDivisionError
        return encode(recorded)  # type: ignore[arg-type]

    monkeypatch.setattr("application.command_handling.batch.encode", faulty)
    first, second, third = await process.send(
        step(one.id, "bug"), step(two.id, "fine"), step(one.id, "fine")
    )
    assert isinstance(first, ZeroDivisionError)
    accepted(second)
    assert accepted(third).execution.version == 2


async def test_an_error_between_two_events_records_neither(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a commit would be published with the states of other events."""
    told: list[tuple[UUID, UUID]] = []

    def note(entries: Sequence[FoldedEvent]) -> None:
        for entry in entries:
            assert entry.head is not None
            told.append((entry.event.recorded.execution_id, entry.head.id))

    one, two = await process.start(), await process.start()
    await process.do(claim(one.id))
    approval = await process.ask(one.id, fence=1)

    def faulty(recorded: object) -> bytes:
        if isinstance(recorded.event, Resumed):  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return encode(recorded)  # type: ignore[arg-type]

    monkeypatch.setattr("application.command_handling.batch.encode", faulty)
    process.tail.add_listener(note)
    granted, other = await process.send(grant(approval), step(two.id, "fine"))
    assert isinstance(granted, ZeroDivisionError)
    accepted(other)
    assert told == [(two.id, two.id)]


async def test_a_failed_reading_of_the_clock_fails_no_command(log_url: str) -> None:
    async with ServerProcess.open(log_url, clock_interval=0.02) as process:
        await process.start()
        looks = 0
        writer = process.writer

        async def look() -> NoReturn:
            nonlocal looks
            looks += 1
            raise ZeroDivisionError

        writer._unit_of_work.read_clock = look  # type: ignore[method-assign]
        await until(lambda: looks > 1)
        # It may have left the connection in the middle of something.
        assert writer._unit_of_work.backend_pid is None
        await process.start()


async def test_what_is_queued_at_closing_is_answered(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        tasks = [asyncio.create_task(process.do(step(execution.id, str(n)))) for n in range(50)]
        await asyncio.sleep(0)
        await process.writer.close()
        assert len(await asyncio.gather(*tasks)) == 50
        [late] = await process.send(step(execution.id, "late"))
        refused(late, RefusalCode.OVERLOADED)


async def test_a_log_that_lost_events_is_not_continued_from_memory(log_url: str) -> None:
    """A server that took over may lack the last commits; what was seen of them counts no more."""
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        await process.do(step(execution.id, "lost"))
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute("DELETE FROM execution_events WHERE originator_version = 2")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        async with ServerProcess.open(log_url) as other:
            await other.do(step(execution.id, "instead"))
        after = await process.do(step(execution.id, "next"))
    assert set(after.execution.steps) == {"instead", "next"}
    assert findings_of_streams(log_url) == []


async def test_the_database_s_own_isolation_does_not_matter(log_url: str) -> None:
    with psycopg.connect(log_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(
            f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"
        )
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        execution = await one.start()

        async def steps(process: ServerProcess, first: int) -> None:
            for n in range(first, first + 100):
                await process.do(step(execution.id, str(n)))

        followed: list[int] = []

        async def follow() -> None:
            async for batch in one.tail.follow(0):
                followed.extend(event.recorded.version for event in batch.events)
                if len(followed) == 201:
                    return

        async with asyncio.timeout(HANGS):
            await asyncio.gather(follow(), steps(one, 0), steps(two, 100))
    assert followed == list(range(1, 202))


async def test_a_command_is_carried_out_although_its_caller_gave_up(process: ServerProcess) -> None:
    execution = await process.start()
    with locked(process.url):
        taken = asyncio.create_task(process.send(step(execution.id, "taken")))
        await asyncio.sleep(0)
        await until(lambda: process.writer.depth == 0)
        queued = asyncio.create_task(process.send(step(execution.id, "queued")))
        await until(lambda: process.writer.depth == 1)
        for task in (taken, queued):
            task.cancel()
        await asyncio.wait([taken, queued])
    last = await process.do(step(execution.id, "after"))
    assert set(last.execution.steps) == {"taken", "queued", "after"}
    assert process.writer.depth == 0


async def test_commands_that_wait_at_the_end_are_answered(log_url: str) -> None:
    async with ServerProcess.open(log_url, batch_limit=4) as process:
        execution = await process.start()
        with locked(process.url):
            waiting = [
                asyncio.create_task(process.send(step(execution.id, str(number))))
                for number in range(50)
            ]
            await until(lambda: process.writer.depth > 0)
            closing = asyncio.create_task(process.writer.close())
            await asyncio.sleep(0)
        await closing
        for [outcome] in await asyncio.gather(*waiting):
            accepted(outcome)
        [late] = await process.send(step(execution.id, "late"))
        refused(late, RefusalCode.OVERLOADED)


async def test_a_listener_that_fails_does_not_affect_others(process: ServerProcess) -> None:
    heard: list[object] = []

    def fails(*_: object) -> None:
        raise ValueError

    process.tail.add_listener(fails)
    process.tail.add_listener(heard.extend)
    execution = await process.start()
    await process.do(step(execution.id, "one"))
    assert len(heard) == 2
