"""Nobody is notified while nobody but this process listens."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from application.subscriptions import notifications
from application.subscriptions.notifications import CHANNEL
from tests.application.services import Office
from tests.support.proxy import Wire


async def until_others(office: Office, *, there: bool) -> None:
    async with asyncio.timeout(10):
        while office.tail.others is not there:
            await asyncio.sleep(0.001)


async def notified(url: str, office: Office) -> int:
    """Count the notifications of one commit."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        await office.start()
        await connection.execute(f"NOTIFY {CHANNEL}, 'mark'")
        pids = []
        async for notification in connection.notifies(timeout=10):
            if notification.payload == "mark":
                break
            pids.append(notification.pid)
    return pids.count(office.writer._unit_of_work.backend_pid or 0)


async def test_a_process_alone_is_quiet_and_two_are_not(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LOOK_AGAIN", 0.1)
    async with Office.open(log_url) as one:
        await until_others(one, there=False)
        assert await notified(log_url, one) == 0
        # Whoever else notifies is heard of once, and then looked for.
        await until_others(one, there=False)
        async with Office.open(log_url) as two:
            await until_others(one, there=True)
            await until_others(two, there=True)
            assert await notified(log_url, one) == 1
            assert await notified(log_url, two) == 1
        await until_others(one, there=False)


async def test_a_newcomer_is_heard_of_at_once(log_url: str) -> None:
    async with Office.open(log_url) as one:
        await until_others(one, there=False)
        async with Office.open(log_url):
            async with asyncio.timeout(notifications.LOOK_AGAIN / 2):
                await until_others(one, there=True)


async def test_who_cannot_listen_takes_others_to_be_there(log_url: str, tmp_path: Path) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with Office.open(wire.url) as one:
            await until_others(one, there=False)
            wire.down = True
            wire.cut()
            await until_others(one, there=True)
            wire.down = False
            await until_others(one, there=False)
