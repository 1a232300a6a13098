"""Each commit notifies the processes that listen."""

import asyncio

import psycopg

from application.event_store.recent_events import RecentEvents
from application.subscriptions.event_tail import EventTail
from application.subscriptions.notifications import CHANNEL
from tests.application.server_process import ServerProcess
from tests.support.patience import HANGS


async def notified(url: str, process: ServerProcess) -> int:
    """Count the notifications of one commit."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        await process.start()
        await connection.execute(f"NOTIFY {CHANNEL}, 'mark'")
        pids = []
        async for notification in connection.notifies(timeout=10):
            if notification.payload == "mark":
                break
            pids.append(notification.pid)
    return pids.count(process.writer._unit_of_work.backend_pid or 0)


async def test_a_commit_notifies_once(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one:
        assert await notified(log_url, one) == 1
        async with ServerProcess.open(log_url) as two:
            assert await notified(log_url, one) == 1
            assert await notified(log_url, two) == 1


async def test_another_process_is_notified_of_a_commit_before_it_polls(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        tail = EventTail(log_url, process.reader, RecentEvents(), poll=60)
        await tail.start()
        async with asyncio.timeout(HANGS):
            # The first may be read when it begins to listen, the second takes a notification.
            for position in (1, 2):
                await process.start()
                while tail.position < position:
                    await asyncio.sleep(0.001)
        await tail.close()
