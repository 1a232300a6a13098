"""Another database takes over that lacks the last commits, or has others in their place."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from application.event_store.positions import PositionUnknownError
from domain.execution.events import StepCompleted
from tests.application.server_process import ServerProcess, step
from tests.support.audit import findings_of_streams
from tests.support.patience import HANGS


def lose_from(url: str, execution_id: UUID, version: int) -> None:
    """Take the events of an execution from a version on out of the log, as if never committed."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM execution_events WHERE originator_id = %s AND originator_version >= %s",
            [execution_id, version],
        )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANGS):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_command_is_not_decided_on_events_that_were_lost(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        await process.do(step(execution.id, "lost"))
        lose_from(log_url, execution.id, 2)
        done = await process.do(step(execution.id, "kept"))
        assert set(done.execution.steps) == {"kept"}
    assert findings_of_streams(log_url) == []


@pytest.mark.parametrize("more", [0, 2], ids=["as many", "more"])
async def test_a_command_is_decided_on_the_events_that_came_in_place_of_lost_ones(
    log_url: str, more: int
) -> None:
    """The other history has the same number of versions, or goes on after it."""
    async with ServerProcess.open(log_url) as seen:
        execution = await seen.start()
        await seen.do(step(execution.id, "lost"))
        lose_from(log_url, execution.id, 2)
        async with ServerProcess.open(log_url) as other:
            await other.do(step(execution.id, "another"))
            for n in range(more):
                await other.do(step(execution.id, f"more-{n}"))
        done = await seen.do(step(execution.id, "kept"))
        assert "lost" not in done.execution.steps
        assert {"another", "kept"} <= set(done.execution.steps)
    assert findings_of_streams(log_url) == []


async def test_whoever_follows_the_log_is_told_that_it_is_another(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        await process.do(step(execution.id, "lost"))
        following = asyncio.create_task(anext(process.tail.follow(idle=60)))
        await asyncio.sleep(0)
        lose_from(log_url, execution.id, 2)
        with pytest.raises(PositionUnknownError):
            await following
        # Who begins anew hears of what comes.
        following = asyncio.create_task(anext(process.tail.follow(idle=60)))
        await asyncio.sleep(0)
        await process.do(step(execution.id, "kept"))
        [event] = (await following).events
        assert isinstance(event.recorded.event, StepCompleted)
        assert event.recorded.event.key == "kept"


async def test_a_position_beyond_the_end_of_the_log_is_unknown(process: ServerProcess) -> None:
    await process.start()
    with pytest.raises(PositionUnknownError, match="ends at 1, before the position 7"):
        await anext(process.tail.follow(7))


async def test_a_position_that_another_process_was_told_of_is_known(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        execution = await one.start()
        await until(lambda: two.tail.position == 1)
        await two.tail.close()
        await one.do(step(execution.id, "one"))
        following = asyncio.create_task(anext(two.tail.follow(2, idle=0.1)))
        assert (await following).events == ()
