"""Events are found by type, actor, time and queue, however far the read model is."""

from datetime import timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.event_store.chained_events import LoggedEvent
from application.event_store.reader import Reader
from application.event_store.recent_events import RecentEvents
from projections.events import query as query_module
from projections.events.query import EventQuery, EventSearch
from projections.querying.keyset_pages import BehindError
from tests.domain.facts import claimed, completed, granted, requested, resumed, started
from tests.domain.people import ANN, ENGINE, OLIVIA
from tests.domain.recording import NOON
from tests.projections.event_log import EventLog
from tests.projections.tables import project

Pool = AsyncConnectionPool[AsyncConnection[Any]]

DAY = timedelta(days=1)


def fill(log: EventLog) -> None:
    """Append eleven executions. The clock is a day ahead during the fifth."""
    for number in range(11):
        log.clock_ahead = DAY if number == 4 else timedelta()
        queue = "night" if number % 3 == 0 else "default"
        workflow = "night-trip" if number % 4 == 0 else "travel"
        start = started(queue=queue, workflow=workflow)
        log.append(start, claimed(), requested(), granted(), resumed(), completed())


def search(pool: Pool) -> EventSearch:
    return EventSearch(pool, Reader(RecentEvents(), pool))


QUERIES = {
    "all": EventQuery(),
    "type": EventQuery(types=frozenset({"ApprovalGranted"})),
    "types": EventQuery(types=frozenset({"Claimed", "Resumed"})),
    "no such type": EventQuery(types=frozenset({"Nonsense"})),
    "actor": EventQuery(actors=frozenset({ANN.id})),
    "actors": EventQuery(actors=frozenset({ANN.id, OLIVIA.id, "nobody"})),
    "actor and types": EventQuery(
        actors=frozenset({ENGINE.id}), types=frozenset({"Completed", "Started"})
    ),
    "queue": EventQuery(queues=frozenset({"night"})),
    "queue and type": EventQuery(queues=frozenset({"night"}), types=frozenset({"Started"})),
    "workflow": EventQuery(workflows=frozenset({"night-trip"})),
    "workflows and type": EventQuery(
        workflows=frozenset({"night-trip", "travel", "x"}), types=frozenset({"Started"})
    ),
    "no workflow": EventQuery(workflows=frozenset()),
    "no queue": EventQuery(queues=frozenset()),
    "since": EventQuery(since=NOON + timedelta(seconds=30)),
    "until": EventQuery(until=NOON + timedelta(seconds=30)),
    "between": EventQuery(since=NOON + timedelta(seconds=20), until=NOON + timedelta(seconds=40)),
    "a day later": EventQuery(since=NOON + DAY),
    "before all": EventQuery(until=NOON - DAY),
    "after all": EventQuery(since=NOON + 2 * DAY),
    "actor since": EventQuery(actors=frozenset({ANN.id}), since=NOON + timedelta(seconds=30)),
}


@pytest.mark.parametrize("block", [4, 1_000])
@pytest.mark.parametrize("behind", [0, 1, 30, 66])
async def test_pages_have_each_event_once_in_the_order_of_the_log_or_backwards(
    event_log: EventLog,
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
    behind: int,
    block: int,
) -> None:
    monkeypatch.setattr("projections.events.projection.BLOCK", block)
    monkeypatch.setattr(query_module, "BLOCK", block)
    fill(event_log)
    project(event_log.url, upto=event_log.position - behind)
    events, reader = search(pool), Reader(RecentEvents(), pool)
    every = await reader.events(limit=100)
    for name, wanted in QUERIES.items():
        expected = [each for each in every if wanted.matches(each, await reader.origin_of(each))]

        forwards: list[LoggedEvent] = []
        more = True
        while more and len(forwards) <= len(expected):
            after = forwards[-1].position if forwards else 0
            page, more = await events.page(wanted, after=after, limit=7)
            forwards += page
        assert forwards == expected, name

        backwards: list[LoggedEvent] = []
        more = True
        while more and len(backwards) <= len(expected):
            before = backwards[-1].position if backwards else None
            page, more = await events.latest(wanted, before=before, limit=7)
            backwards += page
        assert backwards == expected[::-1], name


async def test_the_events_of_one_execution_are_read_from_the_log(
    event_log: EventLog, pool: Pool
) -> None:
    fill(event_log)
    state = event_log.append(started(), claimed(), completed())

    found, more = await search(pool).page(
        EventQuery(execution_id=state.id, types=frozenset({"Started", "Completed"})), limit=10
    )

    assert [event.recorded.version for event in found] == [1, 3]
    assert not more


async def test_a_read_model_that_is_too_far_behind_is_said_to_be(
    event_log: EventLog, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_module, "MAX_UNINDEXED", 20)
    monkeypatch.setattr(query_module, "BATCH", 10)
    fill(event_log)
    wanted = EventQuery(actors=frozenset({"nobody"}))

    with pytest.raises(BehindError, match="events behind the log"):
        await search(pool).page(wanted, limit=5)

    project(event_log.url)
    assert await search(pool).page(wanted, limit=5) == ([], False)
