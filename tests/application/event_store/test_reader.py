"""Current and past states, read from the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from msgspec.structs import replace

from application.event_store.chained_events import FoldedEvent, Head
from application.event_store.reader import Transition
from application.event_store.snapshots import SNAPSHOT_INTERVAL
from domain.execution.evolve import fold
from domain.execution.state import Execution
from domain.refusals import DamagedEventError
from tests.application.server_process import ServerProcess, claim, complete, grant, step
from tests.support.patience import HANGS

SNAPSHOTS = "SELECT originator_version FROM execution_snapshots"


def _replaced(old: str, new: str) -> str:
    return (
        "UPDATE execution_snapshots SET state ="
        f" replace(convert_from(state, 'UTF8'), '{old}', '{new}')::bytea"
    )


async def story(process: ServerProcess) -> tuple[UUID, int]:
    execution = await process.start(input={"n": 1})
    await process.do(claim(execution.id))
    approval = await process.ask(execution.id, fence=1)
    await process.do(grant(approval))
    await process.do(complete(execution.id, fence=1))
    return execution.id, 6


async def test_every_version_is_the_fold_of_the_events_up_to_it(process: ServerProcess) -> None:
    execution_id, last = await story(process)
    events = [e.recorded for e in await process.reader.history(execution_id)]
    for version in range(1, last + 1):
        past = await process.reader.past.at_version(execution_id, version)
        assert past == fold(None, events[:version])
    assert await process.reader.past.at_version(execution_id, last + 1) is None
    assert await process.reader.past.at_version(execution_id, 0) is None
    assert await process.reader.execution(execution_id) == fold(None, events)


async def test_a_moment_includes_the_events_of_that_very_instant(process: ServerProcess) -> None:
    execution = await process.start()
    for n in range(9):
        await process.do(step(execution.id, str(n)))
    events = await process.reader.history(execution.id)
    for event in events:
        at = event.recorded.at
        state = await process.reader.past.at_moment(execution.id, at)
        assert state is not None
        assert state.version == event.recorded.version
        earlier = await process.reader.past.at_moment(execution.id, at - timedelta(microseconds=1))
        assert (earlier.version if earlier else 0) == event.recorded.version - 1


async def test_there_is_no_state_before_the_start_or_of_an_unknown_execution(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    before = execution.started_at - timedelta(seconds=1)
    assert await process.reader.past.at_moment(execution.id, before) is None
    assert await process.reader.execution(uuid4()) is None
    assert await process.reader.past.at_moment(uuid4(), before) is None
    assert await process.reader.history(uuid4()) == []


@asynccontextmanager
async def snapshotted(url: str) -> AsyncIterator[tuple[psycopg.Connection, Execution]]:
    """Return an execution that has a snapshot at its last version, and no server any more."""
    async with ServerProcess.open(url) as process:
        execution = await process.start()
        await process.send(*[step(execution.id, str(n)) for n in range(2 * SNAPSHOT_INTERVAL)])
        expected = await process.reader.execution(execution.id)
        assert expected is not None
        with psycopg.connect(url, autocommit=True) as connection:
            async with asyncio.timeout(HANGS):
                while not connection.execute(SNAPSHOTS).rowcount:
                    await asyncio.sleep(0.01)
            await process.writer.close()
            yield connection, expected


async def test_a_long_history_is_read_from_a_snapshot(log_url: str) -> None:
    async with snapshotted(log_url) as (connection, expected):
        assert connection.execute(SNAPSHOTS).fetchall() == [(expected.version,)]
        # Nothing before it is needed.
        connection.execute(
            "DELETE FROM execution_events WHERE originator_version < %s", [expected.version]
        )
        async with ServerProcess.open(log_url) as reading, ServerProcess.open(log_url) as writing:
            assert await reading.reader.execution(expected.id) == expected
            done = await writing.do(step(expected.id, "new"))
            assert done.execution.version == expected.version + 1


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE execution_snapshots SET state = 'garbage'",
        "UPDATE execution_snapshots SET topic = 'execution.snapshot.fold-0'",
        "UPDATE execution_snapshots SET originator_version = originator_version - 1",
        _replaced('"hash":"', '"hash":"0'),
        _replaced('"version":', '"virsion":'),
        # A forger who gives a state that can be read, with the right hash.
        _replaced('"RUNNING"', '"RESUMED"'),
    ],
    ids=["garbage", "another fold", "another version", "another hash", "unreadable", "forged"],
)
async def test_a_snapshot_that_no_server_of_this_fold_wrote_is_not_used(
    log_url: str, spoil: str
) -> None:
    async with snapshotted(log_url) as (connection, expected):
        assert connection.execute(spoil).rowcount == 1
        async with ServerProcess.open(log_url) as reading, ServerProcess.open(log_url) as writing:
            assert await reading.reader.execution(expected.id) == expected
            done = await writing.do(step(expected.id, "new"))
            assert done.execution.version == expected.version + 1


async def test_events_come_in_pages(process: ServerProcess) -> None:
    await story(process)
    first = await process.reader.events(limit=4)
    rest = await process.reader.events(after=first[-1].position, limit=4)
    assert len(first) == 4
    assert len(rest) == 2


async def test_the_states_before_and_after_an_event(process: ServerProcess) -> None:
    execution_id, _ = await story(process)
    events = await process.reader.history(execution_id)
    for _ in range(2):
        for event, transition in zip(events, await process.reader.transitions(events), strict=True):
            assert isinstance(transition, Transition)
            before, after = transition
            assert after == await process.reader.after(event)
            assert after.version == event.recorded.version
            assert (0 if before is None else before.version) == event.recorded.version - 1
        process.recent.forget()


async def test_the_states_of_many_executions_are_read_together(process: ServerProcess) -> None:
    stories = [await story(process) for _ in range(3)]
    histories = [await process.reader.history(id_, after=1) for id_, _ in stories]
    process.recent.forget()
    events = [event for each in zip(*histories, strict=True) for event in each]
    transitions = await process.reader.transitions(events)
    versions = [t.after.version for t in transitions if isinstance(t, Transition)]
    assert versions == [event.recorded.version for event in events]


@pytest.mark.unsound
async def test_a_damaged_execution_does_not_affect_the_others(
    process: ServerProcess,
) -> None:
    (damaged, _), (whole, _) = await story(process), await story(process)
    events = [
        *await process.reader.history(damaged, after=2),
        *await process.reader.history(whole, after=2),
    ]
    with psycopg.connect(process.url) as connection:
        connection.execute(
            "UPDATE execution_events SET state = '{' WHERE (originator_id, originator_version)"
            " = (%s, 1)",
            [damaged],
        )
    process.recent.forget()
    for event, transition in zip(events, await process.reader.transitions(events), strict=True):
        assert isinstance(transition, DamagedEventError) is (event.recorded.execution_id == damaged)


async def test_a_state_of_commits_that_were_lost_is_forgotten(process: ServerProcess) -> None:
    """A database that took over without the latest commits gives their versions to others."""
    execution_id, _ = await story(process)
    *_, event = await process.reader.history(execution_id)
    right = await process.reader.after(event)
    lost = Head(replace(right, error="of another history"), "0" * 64, 1)
    process.recent.forget()
    process.recent.states.put(lost)
    process.recent.append([FoldedEvent(event, lost)])
    assert await process.reader.after(event) == right


async def test_the_current_states_of_many_streams_are_read_together(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as other:
        ids = [(await one.start()).id for _ in range(3)]
        await other.reader.current(ids)
        # What another process has changed since is seen too.
        await one.ask(ids[0])
        one.damage(ids[2])
        other.recent.states.clear()
        await other.reader.current(ids[:2])
        await one.ask(ids[1])
        states = await other.reader.current([*ids, ids[0], uuid4()])
    assert {id_: state.version for id_, state in states.items()} == {ids[0]: 2, ids[1]: 2}
