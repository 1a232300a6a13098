"""What comes from memory is what the log has, and never with a gap."""

from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.event_store.recorded import LoggedEvent, read
from domain.execution.evolve import evolve
from domain.execution.state import Execution
from domain.refusals import DamagedEventError
from projections.approvals.projection import APPROVALS
from projections.executions.projection import EXECUTIONS
from projections.registry import MODELS
from projections.runtime.event_feed import EventFeed, PoisonedEventError
from projections.runtime.inbox import Inbox, Known
from projections.runtime.projector import Projector
from tests.domain.facts import started, step_completed
from tests.projections.log import Log
from tests.projections.runtime.test_event_feed import shuffled
from tests.projections.runtime.test_projector import caught_up
from tests.projections.tables import assert_equal_to_fold
from tests.projections.until import until
from tests.support.proxy import Wire


@dataclass
class Event:
    position: int
    recorded: Any = None
    stored: bytes = b"x"


@dataclass
class Told:
    """An inbox, and a log beside it."""

    inbox: Inbox[Event] = field(default_factory=lambda: Inbox(lambda _: None, limit=8))
    log: list[int] = field(default_factory=list)

    def put(self, gaps: list[int]) -> None:
        """Append events, each so many positions after the last."""
        last = self.log[-1] if self.log else 100
        new = [last + gap for gap in accumulate(gaps)]
        self.log += new
        self.inbox.put([Event(position) for position in new])

    def after(self, position: int, limit: int = 100) -> list[int]:
        return [known.position for known in self.inbox.after(position, limit=limit)]


def test_events_are_given_until_they_are_passed() -> None:
    told = Told()
    told.put([1, 1, 1])
    assert told.after(101, limit=1) == [102]
    assert told.after(101) == told.after(101) == [102, 103]
    assert told.after(102) == [103]
    assert told.after(103) == []
    told.put([5])
    assert told.after(103) == [108]


def test_who_stands_before_what_is_here_reads_the_log() -> None:
    told = Told()
    assert told.after(0) == []
    told.put([1, 1, 1])
    # What comes before the first event is not known, and it may follow others.
    assert told.after(100) == []
    assert told.after(102) == [103]
    assert told.after(101) == []


def test_what_is_too_much_is_left_to_the_log() -> None:
    told = Told()
    told.put([1] * 10)
    assert told.after(101) == []
    assert told.after(109) == []
    told.put([1])
    assert told.after(110) == [111]


def test_what_was_forgotten_is_read_from_the_log() -> None:
    told = Told()
    told.put([1, 1, 1])
    told.inbox.forget()
    assert told.after(102) == []
    told.put([1, 1])
    assert told.after(103) == []
    assert told.after(104) == [105]


@given(
    st.lists(
        st.one_of(
            st.lists(st.integers(1, 3), min_size=1, max_size=12),
            st.tuples(st.integers(99, 140), st.integers(1, 5)),
        )
    )
)
def test_what_is_given_follows_without_a_gap(moves: list[list[int] | tuple[int, int]]) -> None:
    told = Told()
    for move in moves:
        if isinstance(move, list):
            told.put(move)
        else:
            position, limit = move
            found = told.after(position, limit)
            following = [each for each in told.log if each > position]
            assert found == following[: len(found)]
            assert len(found) <= limit


def events_of(log: Log) -> list[LoggedEvent]:
    with psycopg.connect(log.url) as connection:
        rows = connection.execute(
            "SELECT originator_id, originator_version, topic, state, notification_id"
            " FROM execution_events ORDER BY notification_id"
        ).fetchall()
    return [read(*row) for row in rows]


class Memory:
    """The states after each event; ``kept`` says of which versions they are at hand."""

    def __init__(self, events: list[LoggedEvent], kept: range = range(100)) -> None:
        self._kept = kept
        self._states: dict[tuple[UUID, int], Execution] = {}
        self.learn(events)

    def learn(self, events: list[LoggedEvent]) -> None:
        for event in events:
            id_, version = event.recorded.execution_id, event.recorded.version
            before = self._states.get((id_, version - 1))
            self._states[id_, version] = evolve(before, event.recorded)

    def after(self, event: LoggedEvent) -> Execution | None:
        version = event.recorded.version
        if version not in self._kept:
            return None
        return self._states[event.recorded.execution_id, version]


@pytest.mark.parametrize("kept", [range(20), range(3, 7), range(0)], ids=["all", "some", "none"])
@pytest.mark.parametrize("batch", [1, 7, 500])
def test_the_tables_equal_the_fold(log: Log, batch: int, kept: range) -> None:
    log.append(started())
    shuffled(log, 12)
    events = events_of(log)
    inbox = Inbox(Memory(events, kept).after)
    inbox.put(events)
    seen: list[object] = []
    with psycopg.connect(log.url, autocommit=True) as connection:
        feed = EventFeed([EXECUTIONS, APPROVALS], 0, inbox=inbox)
        while rows := feed.read(connection, limit=batch):
            folded = feed.fold(connection, rows)
            for model in feed.models:
                assert model.write(connection, folded.changes, feed.position, folded.position)
            feed.accept(folded)
            seen += rows
    assert_equal_to_fold(log.url, log.states)
    # The first event only tells where the memory begins, and with it come others of its batch.
    assert [isinstance(row, Known) for row in seen[batch:]] == [True] * (len(events) - batch)


def test_a_damaged_event_stops_it_there(log: Log) -> None:
    log.append(started(), step_completed("one"))

    def damaged(_: LoggedEvent) -> Execution | None:
        msg = "it does not follow"
        raise DamagedEventError(msg)

    inbox = Inbox(damaged)
    inbox.put(events_of(log))
    with psycopg.connect(log.url, autocommit=True) as connection:
        feed = EventFeed([EXECUTIONS], 1, inbox=inbox)
        with pytest.raises(PoisonedEventError, match=r"position 2 .* it does not follow"):
            feed.fold(connection, feed.read(connection))


def test_what_a_server_that_took_over_lacks_is_not_projected(log: Log, tmp_path: Path) -> None:
    shuffled(log, 5)
    kept, states, position = events_of(log), dict(log.states), log.position
    shuffled(log, 5, seed=2)
    lacking = events_of(log)[len(kept) :]
    with psycopg.connect(log.url) as connection:
        connection.execute("DELETE FROM execution_events WHERE notification_id > %s", [position])
    log.states, log.position = states, position
    inbox: Inbox[LoggedEvent] = Inbox(lambda _: None)
    with Wire(log.url, tmp_path).running() as wire:
        projector = Projector(wire.url, MODELS.values(), inbox=inbox, poll=60)
        projector.start()
        try:
            inbox.put(kept[-1:])
            until(lambda: caught_up(log))
            wire.down = True
            wire.cut()
            projector.wake()
            until(lambda: wire.refused > 0)
            inbox.put(lacking)
            another = log.append(started())
            wire.down = False
            until(lambda: caught_up(log))
            assert another.id in log.states
            assert_equal_to_fold(log.url, log.states)
        finally:
            projector.close()


def test_a_projector_takes_from_both(log: Log) -> None:
    """What others append comes into the inbox too, as everything that the tail tells."""
    shuffled(log, 5)
    first = events_of(log)
    memory = Memory(first)
    inbox = Inbox(memory.after)
    projector = Projector(log.url, MODELS.values(), inbox=inbox, poll=60, batch=7)
    projector.start()
    try:
        until(lambda: caught_up(log))
        inbox.put(first[-1:])
        shuffled(log, 5, seed=2)
        every = events_of(log)
        memory.learn(every)
        inbox.put(every[len(first) :])
        projector.wake()
        until(lambda: caught_up(log))
        assert_equal_to_fold(log.url, log.states)
    finally:
        projector.close()
