"""Events projected from memory give the same rows as those read from the log."""

from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace
from psycopg.rows import dict_row

from application.event_store.chained_events import FoldedEvent, Head, advance, logged
from application.event_store.recent_events import RecentEvents
from projections.approvals.projection import APPROVALS
from projections.executions.projection import EXECUTIONS
from projections.registry import MODELS
from projections.runtime.event_feed import EventFeed
from projections.runtime.projector import Projector
from tests.domain.facts import started, step_completed
from tests.projections.event_log import EventLog
from tests.projections.runtime.test_event_feed import shuffled
from tests.projections.runtime.test_projector import caught_up
from tests.projections.tables import assert_equal_to_fold
from tests.projections.until import until
from tests.support.proxy import Wire


def entries_of(event_log: EventLog, kept: range = range(100)) -> list[FoldedEvent]:
    """Return the log's events, with the heads after those whose versions are ``kept``."""
    with psycopg.connect(event_log.url) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        rows = cursor.execute("SELECT * FROM execution_events ORDER BY notification_id").fetchall()
    heads: dict[UUID, Head | None] = {}
    entries = []
    for event in map(logged, rows):
        id_ = event.recorded.execution_id
        heads[id_] = advance(heads.get(id_), event)
        entries.append(FoldedEvent(event, heads[id_] if event.recorded.version in kept else None))
    return entries


@pytest.mark.parametrize("kept", [range(20), range(3, 7), range(0)], ids=["all", "some", "none"])
@pytest.mark.parametrize("batch", [1, 7, 500])
def test_the_tables_equal_the_fold(event_log: EventLog, batch: int, kept: range) -> None:
    event_log.append(started())
    shuffled(event_log, 12)
    entries = entries_of(event_log, kept)
    recent = RecentEvents()
    recent.append(entries)
    seen: list[FoldedEvent] = []
    with psycopg.connect(event_log.url, autocommit=True) as connection:
        feed = EventFeed([EXECUTIONS, APPROVALS], 0, recent=recent)
        while read := feed.read(connection, limit=batch):
            folded = feed.fold(connection, read)
            for model in feed.models:
                assert model.write(connection, folded.changes, feed.position, folded.position)
            feed.accept(folded)
            seen += read
    assert_equal_to_fold(event_log.url, event_log.states)
    assert all(one is other for one, other in zip(seen, entries, strict=True))


def test_followers_share_the_states_that_the_projector_folds(event_log: EventLog) -> None:
    event_log.append(started(), step_completed("one"))
    entries = entries_of(event_log, kept=range(0))
    recent = RecentEvents()
    recent.append(entries)
    with psycopg.connect(event_log.url, autocommit=True) as connection:
        feed = EventFeed([EXECUTIONS], 0, recent=recent)
        feed.fold(connection, feed.read(connection))
    assert [entry.head for entry in entries] == [entry.head for entry in entries_of(event_log)]


def test_an_event_that_breaks_the_chain_fails_its_execution(event_log: EventLog) -> None:
    event_log.append(started(), step_completed("one"))
    first, second = entries_of(event_log)
    broken = replace(second.event.recorded, previous_hash="0" * 64)
    recent = RecentEvents()
    recent.append([first, FoldedEvent(replace(second.event, recorded=broken), None)])
    with psycopg.connect(event_log.url, autocommit=True) as connection:
        feed = EventFeed([EXECUTIONS], 1, recent=recent)
        [failure] = feed.fold(connection, feed.read(connection)).failures
    assert failure.position == 2
    assert "names the previous hash" in failure.reason


def test_events_that_a_new_database_lacks_are_not_projected(
    event_log: EventLog, tmp_path: Path
) -> None:
    shuffled(event_log, 5)
    kept, states, position = entries_of(event_log), dict(event_log.states), event_log.position
    shuffled(event_log, 5, seed=2)
    lacking = entries_of(event_log)[len(kept) :]
    with psycopg.connect(event_log.url) as connection:
        connection.execute("DELETE FROM execution_events WHERE notification_id > %s", [position])
    event_log.states, event_log.position = states, position
    recent = RecentEvents()
    recent.begin(position - 1)
    with Wire(event_log.url, tmp_path).running() as wire:
        projector = Projector(wire.url, MODELS.values(), recent=recent, poll=60)
        projector.start()
        try:
            recent.append(kept[-1:])
            until(lambda: caught_up(event_log))
            wire.down = True
            wire.cut()
            projector.wake()
            until(lambda: wire.refused > 0)
            recent.append(lacking)
            another = event_log.append(started())
            wire.down = False
            until(lambda: caught_up(event_log))
            assert another.id in event_log.states
            assert_equal_to_fold(event_log.url, event_log.states)
        finally:
            projector.close()


def test_a_projector_goes_on_from_the_log_to_recent_events(event_log: EventLog) -> None:
    shuffled(event_log, 5)
    recent = RecentEvents()
    recent.begin(event_log.position)
    projector = Projector(event_log.url, MODELS.values(), recent=recent, poll=60, batch=7)
    projector.start()
    try:
        until(lambda: caught_up(event_log))
        already = event_log.position
        shuffled(event_log, 5, seed=2)
        recent.append([each for each in entries_of(event_log) if each.event.position > already])
        projector.wake()
        until(lambda: caught_up(event_log))
        assert_equal_to_fold(event_log.url, event_log.states)
    finally:
        projector.close()
