"""Every follower of the log gets each event once and in order, also after faults."""

import asyncio
import time
from pathlib import Path

import psycopg
import pytest

from application.event_store.chained_events import LoggedEvent
from application.event_store.recorder import lock_statement
from domain.execution.commands import StartChild
from domain.execution.events import Started
from domain.execution.state import Execution
from domain.identifiers import child_id
from domain.refusals import UnknownTopicError
from domain.serialization.event_codec import Unreadable
from tests.application.server_process import ServerProcess, step
from tests.domain.people import ENGINE
from tests.support.patience import HANGS
from tests.support.proxy import Wire


async def take(process: ServerProcess, number: int, **options: object) -> list[LoggedEvent]:
    """Follow until that many events have come."""
    events: list[LoggedEvent] = []
    async with asyncio.timeout(HANGS):
        async for batch in process.tail.follow(**options):  # type: ignore[arg-type]
            events += batch.events
            if len(events) >= number:
                break
    return events


async def test_events_of_every_process_come_in_the_order_of_the_log(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        following = [
            asyncio.create_task(take(process, 200, after=0)) for process in (one, two, one)
        ]
        executions = [await process.start() for process in (one, two) for _ in range(10)]
        await asyncio.gather(
            *(
                (one, two)[n % 2].do(step(execution.id, str(n)))
                for execution in executions
                for n in range(9)
            )
        )
        for events in await asyncio.gather(*following):
            positions = [event.position for event in events]
            assert positions == sorted(set(positions))
            assert len(positions) == 200


async def test_a_late_follower_misses_nothing(process: ServerProcess) -> None:
    execution = await process.start()
    await process.do(step(execution.id, "one"))
    later = asyncio.create_task(take(process, 3, after=0))
    await process.do(step(execution.id, "two"))
    assert [event.recorded.version for event in await later] == [1, 2, 3]


async def test_without_a_position_events_come_from_now_on(process: ServerProcess) -> None:
    execution = await process.start()
    following = asyncio.create_task(take(process, 1))
    await asyncio.sleep(0)
    await process.do(step(execution.id, "one"))
    assert [event.recorded.version for event in await following] == [2]


async def test_one_execution_can_be_followed_alone(process: ServerProcess) -> None:
    mine, other = await process.start(), await process.start()
    following = asyncio.create_task(take(process, 3, after=0, execution_id=mine.id))
    for n in range(3):
        await process.do(step(other.id, str(n)))
        await process.do(step(mine.id, str(n)))
    assert {event.recorded.execution_id for event in await following} == {mine.id}


async def test_the_position_moves_on_though_nothing_matches(process: ServerProcess) -> None:
    mine, other = await process.start(), await process.start()
    await process.do(step(other.id, "one"))
    async with asyncio.timeout(HANGS):
        async for batch in process.tail.follow(
            process.tail.position, execution_id=mine.id, idle=0.05
        ):
            assert batch.events == ()
            assert batch.position == process.tail.position
            break


async def test_events_no_longer_in_memory_are_read_from_the_log(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        process.recent._limit = 2_000
        execution = await process.start()
        await process.send(*[step(execution.id, str(n)) for n in range(50)])
        assert len(await take(process, 51, after=0)) == 51


async def test_it_reconnects_by_itself(log_url: str, tmp_path: Path) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as cut, ServerProcess.open(log_url) as other:
            following = asyncio.create_task(take(cut, 40, after=0))
            execution = await other.start()
            for n in range(39):
                await other.do(step(execution.id, str(n)))
                if n % 13 == 0:
                    wire.cut()
            assert [event.recorded.version for event in await following] == list(range(1, 41))


async def test_a_poll_finds_what_a_missed_notification_did_not_report(log_url: str) -> None:
    async with ServerProcess.open(log_url) as deaf, ServerProcess.open(log_url) as other:
        following = asyncio.create_task(take(deaf, 1, after=0))
        # Nothing listens for it any more.
        deaf.tail._tasks[0].cancel()
        await other.start()
        assert len(await following) == 1


async def test_an_event_at_the_very_end_of_an_idle_time_is_not_lost(
    process: ServerProcess,
) -> None:
    """The event is published between the timer and the task that it wakes."""
    execution = await process.start()
    following = process.tail.follow(process.tail.position, execution_id=execution.id, idle=0.02)
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    position = (await process.do(step(execution.id, "late"))).position
    # Until here the loop was free; now both are due at once.
    time.sleep(0.05)  # noqa: ASYNC251 - that is the point
    seen = list((await waiting).events)
    while not seen:
        seen = list((await anext(following)).events)
    assert [event.position for event in seen] == [position]
    await following.aclose()


def unheard_of(url: str, execution: Execution, state: str) -> None:
    """Append an event as a newer server does, with a topic that this one does not know."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(lock_statement())
        connection.execute(
            "INSERT INTO execution_events (originator_id, originator_version, topic, state)"
            " VALUES (%s, %s, 'execution.unheard-of.v1', %s)",
            [execution.id, execution.version + 1, state.encode()],
        )
        connection.execute("NOTIFY execution_events")


ENVELOPE = (
    '{"previousHash":"","at":"2026-01-01T00:00:00Z","actor":"ann",'
    '"commandId":"00000000-0000-0000-0000-000000000001",'
    '"correlationId":"00000000-0000-0000-0000-000000000001","data":{"new":1}}'
)


@pytest.mark.parametrize(
    ("state", "actor"), [(ENVELOPE, "ann"), ("{", "")], ids=["a newer topic", "damaged bytes"]
)
async def test_an_unreadable_event_is_delivered_as_such_and_others_follow(
    log_url: str, state: str, actor: str
) -> None:
    async with ServerProcess.open(log_url) as process:
        strange, other = await process.start(), await process.start()
        position = process.tail.position
        following = asyncio.create_task(take(process, 2, after=position))
        unheard_of(log_url, strange, state)
        await process.until_position(position + 1)
        await process.do(step(other.id, "one"))
        unreadable, readable = await following
        assert isinstance(unreadable.recorded.event, Unreadable)
        assert "execution.unheard-of.v1" in unreadable.recorded.event.reason
        assert unreadable.recorded.actor.id == actor
        assert (unreadable.recorded.execution_id, unreadable.recorded.version) == (strange.id, 2)
        assert readable.recorded.execution_id == other.id
        # Its own execution fails, and says why.
        with pytest.raises(UnknownTopicError):
            await process.reader.execution(strange.id)
        [outcome] = await process.send(step(strange.id, "one"))
        assert isinstance(outcome, UnknownTopicError)


async def test_an_unreadable_event_does_not_stop_workers_and_children(
    log_url: str,
) -> None:
    async with ServerProcess.open(log_url) as process:
        strange, parent = await process.start(), await process.start()
        unheard_of(log_url, strange, ENVELOPE)
        await process.do(
            StartChild(by=ENGINE, execution_id=parent.id, key="a", workflow="x", queue="default")
        )
        await process.until(child_id(parent.id, "a", 1), Started)
