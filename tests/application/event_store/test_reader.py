"""The present and the past, read from the log."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from msgspec.structs import replace

from application.event_store.reader import EventQuery, Transition
from application.event_store.recorded import FoldedEvent, Head
from application.event_store.snapshots import SNAPSHOT_INTERVAL
from domain.execution.evolve import fold
from domain.refusals import DamagedEventError
from tests.application.services import Office, claim, complete, grant, step
from tests.domain.people import ANN, ENGINE


async def story(office: Office) -> tuple[UUID, int]:
    execution = await office.start(input={"n": 1})
    await office.do(claim(execution.id))
    approval = await office.ask(execution.id, fence=1)
    await office.do(grant(approval))
    await office.do(complete(execution.id, fence=1))
    return execution.id, 6


async def test_every_version_is_the_fold_of_the_events_up_to_it(office: Office) -> None:
    execution_id, last = await story(office)
    events = [e.recorded for e in await office.reader.history(execution_id)]
    for version in range(1, last + 1):
        past = await office.reader.at_version(execution_id, version)
        assert past == fold(None, events[:version])
    assert await office.reader.at_version(execution_id, last + 1) is None
    assert await office.reader.at_version(execution_id, 0) is None
    assert await office.reader.execution(execution_id) == fold(None, events)


async def test_a_moment_includes_the_events_of_that_very_instant(office: Office) -> None:
    execution = await office.start()
    for n in range(9):
        await office.do(step(execution.id, str(n)))
    events = await office.reader.history(execution.id)
    for event in events:
        at = event.recorded.at
        state = await office.reader.at_moment(execution.id, at)
        assert state is not None
        assert state.version == event.recorded.version
        earlier = await office.reader.at_moment(execution.id, at - timedelta(microseconds=1))
        assert (earlier.version if earlier else 0) == event.recorded.version - 1


async def test_there_is_nothing_before_the_start_and_nothing_of_nobody(office: Office) -> None:
    execution = await office.start()
    before = execution.started_at - timedelta(seconds=1)
    assert await office.reader.at_moment(execution.id, before) is None
    assert await office.reader.execution(uuid4()) is None
    assert await office.reader.at_moment(uuid4(), before) is None
    assert await office.reader.history(uuid4()) == []


async def test_a_long_history_is_read_from_a_snapshot_that_is_checked(log_url: str) -> None:
    async with Office.open(log_url) as office:
        execution = await office.start()
        await office.send(*[step(execution.id, str(n)) for n in range(2 * SNAPSHOT_INTERVAL)])
        expected = await office.reader.execution(execution.id)
    with psycopg.connect(log_url, autocommit=True) as connection:
        [(version,)] = connection.execute(
            "SELECT originator_version FROM execution_snapshots"
        ).fetchall()
        assert version == 2 * SNAPSHOT_INTERVAL + 1
        for spoil in (
            "SELECT 1",
            # One under another hash, and one that can't be read, are passed over.
            _replaced('"hash":"', '"hash":"0'),
            _replaced('"version":', '"virsion":'),
            "UPDATE execution_snapshots SET state = 'garbage'",
        ):
            connection.execute(spoil)
            async with Office.open(log_url) as reading, Office.open(log_url) as writing:
                assert await reading.reader.execution(execution.id) == expected
                assert (await writing.do(step(execution.id, "0"))).execution == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EventQuery(), 6),
        (EventQuery(types=frozenset({"Claimed", "Resumed"})), 2),
        (EventQuery(types=frozenset({"Nonsense"})), 0),
        (EventQuery(actors=frozenset({ANN.id})), 2),
        (EventQuery(actors=frozenset({ENGINE.id}), types=frozenset({"Completed"})), 1),
        (EventQuery(queues=frozenset({"default"})), 6),
        (EventQuery(queues=frozenset({"day"})), 0),
    ],
)
async def test_events_are_filtered_alike_in_the_log_and_in_memory(
    office: Office, query: EventQuery, expected: int
) -> None:
    await story(office)
    found = await office.reader.events(query)
    every = await office.reader.events(EventQuery())
    assert [event.position for event in found] == [
        event.position
        for event in every
        if query.matches(event, await office.reader.queue_of(event))
    ]
    assert len(found) == expected


async def test_events_are_filtered_by_time(office: Office) -> None:
    await story(office)
    every = await office.reader.events(EventQuery())
    third = every[2].recorded.at
    since = await office.reader.events(EventQuery(since=third))
    until = await office.reader.events(EventQuery(until=third))
    assert [e.position for e in since] == [e.position for e in every[2:]]
    assert [e.position for e in until] == [e.position for e in every[:3]]


async def test_events_come_in_pages(office: Office) -> None:
    await story(office)
    first = await office.reader.events(EventQuery(), limit=4)
    rest = await office.reader.events(EventQuery(), after=first[-1].position, limit=4)
    assert len(first) == 4
    assert len(rest) == 2


async def test_the_states_before_and_after_an_event(office: Office) -> None:
    execution_id, _ = await story(office)
    events = await office.reader.history(execution_id)
    for _ in range(2):
        for event, transition in zip(events, await office.reader.transitions(events), strict=True):
            assert isinstance(transition, Transition)
            before, after = transition
            assert after == await office.reader.after(event)
            assert after.version == event.recorded.version
            assert (0 if before is None else before.version) == event.recorded.version - 1
        office.recent.forget()


async def test_the_states_of_many_executions_are_read_together(office: Office) -> None:
    stories = [await story(office) for _ in range(3)]
    histories = [await office.reader.history(id_, after=1) for id_, _ in stories]
    office.recent.forget()
    events = [event for each in zip(*histories, strict=True) for event in each]
    transitions = await office.reader.transitions(events)
    versions = [t.after.version for t in transitions if isinstance(t, Transition)]
    assert versions == [event.recorded.version for event in events]


async def test_an_execution_that_is_damaged_costs_the_others_nothing(office: Office) -> None:
    (damaged, _), (whole, _) = await story(office), await story(office)
    events = [
        *await office.reader.history(damaged, after=2),
        *await office.reader.history(whole, after=2),
    ]
    with psycopg.connect(office.url) as connection:
        connection.execute(
            "UPDATE execution_events SET state = '{' WHERE (originator_id, originator_version)"
            " = (%s, 1)",
            [damaged],
        )
    office.recent.forget()
    for event, transition in zip(events, await office.reader.transitions(events), strict=True):
        assert isinstance(transition, DamagedEventError) is (event.recorded.execution_id == damaged)


async def test_a_state_of_commits_that_were_lost_is_forgotten(office: Office) -> None:
    """A database that took over without the latest commits gives their versions to others."""
    execution_id, _ = await story(office)
    *_, event = await office.reader.history(execution_id)
    right = await office.reader.after(event)
    lost = Head(replace(right, error="of another history"), "0" * 64, 1)
    office.recent.forget()
    office.recent.states.put(lost)
    office.recent.append([FoldedEvent(event, lost)])
    assert await office.reader.after(event) == right


def _replaced(old: str, new: str) -> str:
    return (
        "UPDATE execution_snapshots SET state ="
        f" replace(convert_from(state, 'UTF8'), '{old}', '{new}')::bytea"
    )
