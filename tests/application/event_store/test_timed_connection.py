"""A database that falls silent without closing its connections is noticed, and left."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from application.event_store import recorder
from application.event_store.timed_connection import TimedConnection
from application.subscriptions import notifications
from tests.application.server_process import PATIENT, ServerProcess, accepted, step
from tests.support.patience import HANGS
from tests.support.proxy import Wire

# An answer of a busy machine comes within it.
SOON = 1.0


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimedConnection, "answer_within", SOON)
    monkeypatch.setattr(recorder, "SILENT_AFTER", SOON - PATIENT)
    monkeypatch.setattr(notifications, "LOOK_EVERY", SOON)


async def test_an_answer_that_does_not_come_is_an_error(log_url: str, tmp_path: Path) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with await TimedConnection.connect(wire.url, autocommit=True) as connection:
            await connection.execute("SELECT 1")
            wire.silent = True
            async with asyncio.timeout(HANGS):
                with pytest.raises(psycopg.OperationalError):
                    await connection.execute("SELECT 1")
            assert connection.closed


async def test_an_answer_in_time_is_given_and_later_ones_have_their_own_deadline(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TimedConnection, "answer_within", HANGS)
    loop, deadlines = asyncio.get_running_loop(), list[asyncio.TimerHandle]()
    call_later = loop.call_later

    def noted(delay: float, callback: Any, *args: Any, **rest: Any) -> asyncio.TimerHandle:
        handle = call_later(delay, callback, *args, **rest)
        if callback == connection._break_off:
            deadlines.append(handle)
        return handle

    async with await TimedConnection.connect(log_url, autocommit=True) as connection:
        monkeypatch.setattr(loop, "call_later", noted)
        for number in range(3):
            await connection.execute("SELECT 1")
            assert len(deadlines) > number
            assert all(each.cancelled() for each in deadlines)


async def test_a_command_whose_commit_is_not_answered_is_carried_out_once(
    log_url: str, tmp_path: Path
) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as process:
            execution = await process.start()
            wire.silent = True
            sending = asyncio.create_task(process.send(step(execution.id, "one")))
            await asyncio.sleep(SOON / 2)
            # What is silent stays so; new connections are answered.
            wire.silence_open_connections()
            wire.silent = False
            async with asyncio.timeout(HANGS):
                [outcome] = await sending
            assert accepted(outcome).execution.version == 2


async def test_reads_and_commands_come_back_when_all_connections_fell_silent(
    log_url: str, tmp_path: Path
) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as process, ServerProcess.open(log_url) as other:
            execution = await process.start()
            wire.silence_open_connections()
            async with asyncio.timeout(HANGS):
                await process.do(step(execution.id, "one"))
                while True:
                    try:
                        found = await process.reader.execution(execution.id)
                    except psycopg.OperationalError:
                        continue
                    break
                assert found is not None
                # It hears of other processes again, too.
                done = await other.do(step(execution.id, "two"))
                await process.until_position(done.position)
