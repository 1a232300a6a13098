import random
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from application.event_store.chained_events import Head, logged
from application.event_store.snapshots import SNAPSHOT_TOPIC, encode_snapshot
from application.event_store.state_cache import StateCache
from projections.approvals.projection import APPROVALS
from projections.executions.projection import EXECUTIONS
from projections.runtime.event_feed import EventFeed
from tests.domain.facts import (
    Fact,
    completed,
    failed,
    granted,
    requested,
    resumed,
    retried,
    started,
    step_completed,
    withdrawn,
)
from tests.projections.event_log import EventLog
from tests.projections.tables import TABLES, assert_equal_to_fold, contents, project

STORY: tuple[Fact, ...] = (
    started(),
    step_completed("estimate", result={"cost": 120}),
    requested("a", title="Trip"),
    requested("b", title="Visa"),
    granted(ordinal=1),
    withdrawn(2),
    resumed(),
    failed(),
    retried(),
    requested("b", title="Visa", round=2),
    granted(),
    resumed(),
    completed(),
)


def shuffled(event_log: EventLog, number: int, seed: int = 1) -> None:
    """Append stories of which each has got somewhere, mixed with one another."""
    chance = random.Random(seed)
    left = {uuid4(): list(STORY[: chance.randint(1, len(STORY))]) for _ in range(number)}
    events: list[tuple[UUID, list[Fact]]] = []
    while left:
        id_ = chance.choice(list(left))
        events.append((id_, [left[id_].pop(0)]))
        if not left[id_]:
            del left[id_]
    event_log.append_all(events)


@pytest.mark.both_servers
@pytest.mark.parametrize("batch", [1, 7, 500])
def test_the_tables_equal_the_fold(event_log: EventLog, batch: int) -> None:
    shuffled(event_log, 12)
    project(event_log.url, batch=batch)
    assert_equal_to_fold(event_log.url, event_log.states)


def test_the_size_of_the_batches_does_not_matter(event_log: EventLog) -> None:
    shuffled(event_log, 12)
    project(event_log.url, batch=5)
    before = contents(event_log.url)
    with psycopg.connect(event_log.url) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)}")
        connection.execute("UPDATE projection_positions SET position = 0")
    project(event_log.url)
    assert contents(event_log.url) == before


@pytest.mark.parametrize("limit", [1, 1_000_000])
def test_states_that_are_not_kept_are_read_from_the_log(event_log: EventLog, limit: int) -> None:
    shuffled(event_log, 5)
    with psycopg.connect(event_log.url, autocommit=True) as connection:
        feed = EventFeed([EXECUTIONS, APPROVALS], 0, states=StateCache(limit))
        while entries := feed.read(connection, limit=3):
            folded = feed.fold(connection, entries)
            for model in feed.models:
                assert model.write(connection, folded.changes, feed.position, folded.position)
            feed.accept(folded)
    assert_equal_to_fold(event_log.url, event_log.states)


def test_a_long_history_is_read_from_its_snapshot(event_log: EventLog) -> None:
    steps = [step_completed(f"step-{n}") for n in range(250)]
    known = event_log.append(started(), *steps)
    state = event_log.append(step_completed("last"), to=known.id)
    with psycopg.connect(event_log.url, autocommit=True) as connection:
        [row] = connection.cursor(row_factory=dict_row).execute(
            "SELECT * FROM execution_events WHERE originator_version = %s", [known.version]
        )
        [(secret,)] = connection.execute(
            "SELECT value FROM server_secrets WHERE name = 'snapshots'"
        )
        snapshot = encode_snapshot(Head(known, logged(row).hash, 1), secret)
        connection.execute(
            "INSERT INTO execution_snapshots VALUES (%s, %s, %s, %s)",
            [known.id, known.version, SNAPSHOT_TOPIC, snapshot],
        )
        # Nothing before the snapshot is needed any more.
        connection.execute(
            "DELETE FROM execution_events WHERE originator_version < %s", [known.version]
        )
        feed = EventFeed([EXECUTIONS], event_log.position - 1)
        folded = feed.fold(connection, feed.read(connection))
    assert [change.after for change in folded.changes] == [state]


def test_nothing_is_written_from_another_position_than_the_read_model_has(
    event_log: EventLog,
) -> None:
    event_log.append(started())
    with psycopg.connect(event_log.url, autocommit=True) as connection:
        feed = EventFeed([EXECUTIONS], 0)
        folded = feed.fold(connection, feed.read(connection))
        assert not EXECUTIONS.write(connection, folded.changes, 17, folded.position)
        assert connection.execute("SELECT count(*) FROM executions").fetchone() == (0,)
        assert connection.execute(
            "SELECT position FROM projection_positions WHERE name = 'executions'"
        ).fetchone() == (0,)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE execution_events SET topic = 'execution.unheard.v1' WHERE notification_id = %s",
        "UPDATE execution_events SET state = '{' WHERE notification_id = %s",
        "UPDATE execution_events SET originator_version = 9 WHERE notification_id = %s",
    ],
)
def test_all_before_an_event_that_cannot_be_folded_is_projected(
    event_log: EventLog, damage: str
) -> None:
    before = event_log.append(started(), step_completed())
    event_log.append(step_completed("bad"), to=before.id)
    with psycopg.connect(event_log.url, autocommit=True) as connection:
        connection.execute(damage, [event_log.position])
        feed = EventFeed([EXECUTIONS], 0)
        folded = feed.fold(connection, feed.read(connection))
        assert [change.after for change in folded.changes] == [before]
        [failure] = folded.failures
        assert (failure.execution_id, failure.position) == (before.id, event_log.position)
        feed.accept(folded)
        assert feed.position == event_log.position
        event_log.append(step_completed("later"), to=before.id)
        later = feed.fold(connection, feed.read(connection))
        assert (later.changes, later.failures) == ([], [])
        assert later.position == event_log.position
