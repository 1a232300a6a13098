import asyncio
import threading
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from projections.querying.checkpoints import Checkpoints
from projections.querying.keyset_pages import BehindError
from tests.projections.event_log import EventLog
from tests.support.patience import HANGS

Pool = AsyncConnectionPool[AsyncConnection[Any]]


async def test_the_projector_of_this_process_wakes_a_waiter(pool: Pool) -> None:
    checkpoints = Checkpoints(max_wait=60, poll=60)
    waiters = [
        asyncio.create_task(checkpoints.wait(pool, "executions", position)) for position in (3, 7)
    ]
    done, _ = await asyncio.wait(waiters, timeout=0.2)
    assert not done
    threading.Thread(target=checkpoints.reached, args=("approvals", 7)).start()
    threading.Thread(target=checkpoints.reached, args=("executions", 5)).start()
    await waiters[0]
    assert not waiters[1].done()
    checkpoints.reached("executions", 7)
    await waiters[1]
    await checkpoints.wait(pool, "executions", 7)


async def test_a_waiter_polls_the_database_if_another_process_projects(
    pool: Pool, event_log: EventLog
) -> None:
    checkpoints = Checkpoints(max_wait=60, poll=0.01)
    waiter = asyncio.create_task(checkpoints.wait(pool, "executions", 7))
    done, _ = await asyncio.wait([waiter], timeout=0.1)
    assert not done
    with psycopg.connect(event_log.url) as connection:
        connection.execute("UPDATE projection_positions SET position = 7")
    await waiter


async def test_waiting_has_a_timeout(pool: Pool) -> None:
    checkpoints = Checkpoints(max_wait=0.1, poll=0.01)
    with pytest.raises(BehindError, match="is at 0 and did not reach"):
        await checkpoints.wait(pool, "executions", 10**30)


async def test_a_cancelled_waiter_is_removed(pool: Pool) -> None:
    checkpoints = Checkpoints(max_wait=60, poll=60)
    waiter = asyncio.create_task(checkpoints.wait(pool, "executions", 7))
    await asyncio.wait([waiter], timeout=0.1)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert checkpoints._waiting["executions"] == []


async def test_the_projector_does_not_pause_while_somebody_waits(pool: Pool) -> None:
    checkpoints = Checkpoints(max_wait=60, poll=60)
    # Only something that hangs takes so long.
    pausing = asyncio.create_task(asyncio.to_thread(checkpoints.pause, 60))
    done, _ = await asyncio.wait([pausing], timeout=0.1)
    assert not done
    waiter = asyncio.create_task(checkpoints.wait(pool, "executions", 7))
    async with asyncio.timeout(HANGS):
        await pausing
        await asyncio.to_thread(checkpoints.pause, 60)
    checkpoints.reached("executions", 7)
    await waiter
    pausing = asyncio.create_task(asyncio.to_thread(checkpoints.pause, 60))
    done, _ = await asyncio.wait([pausing], timeout=0.1)
    assert not done
    checkpoints.end_pause()
    async with asyncio.timeout(HANGS):
        await pausing
