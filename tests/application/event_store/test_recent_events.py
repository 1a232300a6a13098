"""The ring of recent events: what it gives is what the log has, and never with a gap."""

from itertools import count
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from application.event_store.chained_events import (
    BrokenChainError,
    FoldedEvent,
    Head,
    LoggedEvent,
    advance,
    at_position,
    chained,
)
from application.event_store.recent_events import RecentEvents
from application.event_store.state_cache import StateCache
from domain.serialization.event_codec import GENESIS_HASH, encode
from tests.domain.facts import Fact, started, step_completed
from tests.domain.recording import recorded


class Written:
    """Events of one execution, written one after the other at positions of a log."""

    def __init__(self, position: int = 100) -> None:
        self.position = position
        self.head: Head | None = None
        self.folded: list[FoldedEvent] = []
        self._keys = map(str, count())

    def next(self, gap: int = 1, fact: Fact | None = None) -> FoldedEvent:
        first = self.head is None
        fact = fact or (started() if first else step_completed(next(self._keys)))
        state = None if self.head is None else self.head.execution
        actor, event = fact(state)
        happened = recorded(state, actor, event)
        previous = GENESIS_HASH if self.head is None else self.head.hash
        happened = replace(happened, previous_hash=previous)
        self.position += gap
        stored = chained(happened.execution_id, happened.version, event.topic, encode(happened))
        self.head = advance(self.head, stored)
        self.folded.append(FoldedEvent(at_position(stored, self.position), self.head))
        return self.folded[-1]

    def write(self, gaps: list[int]) -> list[FoldedEvent]:
        return [self.next(gap) for gap in gaps]


def positions(found: list[FoldedEvent] | None) -> list[int] | None:
    return None if found is None else [entry.event.position for entry in found]


def ring(limit: int = 1_000_000) -> RecentEvents:
    recent = RecentEvents(limit=limit)
    recent.begin(100)
    return recent


def unfolded(entry: FoldedEvent) -> FoldedEvent:
    return FoldedEvent(entry.event, None)


def test_every_follower_gets_the_events_after_its_own_position() -> None:
    recent = ring()
    recent.append(Written().write([1, 1, 1]))
    assert positions(recent.after(100)) == [101, 102, 103]
    assert positions(recent.after(101, limit=1)) == [102]
    assert positions(recent.after(103)) == []
    assert recent.position == 103


def test_events_from_before_the_beginning_are_read_from_the_log() -> None:
    recent = ring()
    recent.append(Written().write([1]))
    assert recent.after(99) is None


def test_beyond_the_limit_the_oldest_events_are_read_from_the_log() -> None:
    recent, written = ring(limit=1), Written()
    recent.append(written.write([1, 1]))
    recent.append(written.write([1]))
    assert recent.after(101) is None
    assert positions(recent.after(102)) == [103]


def test_the_last_append_is_kept_whatever_its_size() -> None:
    recent = ring(limit=1)
    recent.append(Written().write([1] * 10))
    assert positions(recent.after(100)) == list(range(101, 111))


def test_dropped_events_are_read_from_the_log() -> None:
    recent, written = ring(), Written()
    recent.append(written.write([1, 1]))
    recent.forget()
    assert recent.after(101) is None
    recent.append(written.write([1]))
    assert positions(recent.after(102)) == [103]


@given(
    st.lists(
        st.one_of(
            st.lists(st.integers(1, 3), min_size=1, max_size=12),
            st.tuples(st.integers(99, 140), st.integers(1, 5)),
            st.none(),
        )
    )
)
def test_returned_events_follow_the_position_without_a_gap(
    moves: list[list[int] | tuple[int, int] | None],
) -> None:
    recent, written = ring(limit=2_000), Written()
    for move in moves:
        if move is None:
            recent.forget()
        elif isinstance(move, list):
            recent.append(written.write(move))
        else:
            position, limit = move
            found = positions(recent.after(position, limit=limit))
            every = positions(written.folded) or []
            following = [each for each in every if each > position]
            assert found is None or found == following[:limit]


def test_the_state_after_an_event_of_this_process_is_in_memory() -> None:
    recent, written = ring(), Written()
    recent.append(written.write([1, 1, 1]))
    recent.states.clear()
    for entry in written.folded:
        assert recent.head_after(entry.event) is entry.head


def test_the_state_after_an_event_of_another_process_is_folded_once() -> None:
    recent, written = ring(), Written()
    written.write([1, 1, 1])
    entries = [unfolded(entry) for entry in written.folded]
    recent.append(entries)
    assert recent.head_after(entries[2].event) is None
    for entry, ours in zip(entries, written.folded, strict=True):
        assert recent.head_after(entry.event) == ours.head
        assert recent.head_after(entry.event) is entry.head


def test_a_state_is_folded_from_the_latest_that_is_cached() -> None:
    written = Written()
    first, second = written.write([1, 1])
    states = StateCache()
    assert first.head is not None
    states.put(first.head)
    recent = RecentEvents(states)
    recent.begin(101)
    recent.append([unfolded(second)])
    assert recent.head_before(second.event) is first.head
    assert recent.head_after(second.event) == second.head
    assert states.get(first.head.id) == second.head


def test_nothing_is_known_before_the_first_event() -> None:
    entry = Written().next()
    assert ring().head_before(entry.event) is None
    assert ring().head_after(entry.event) == entry.head


def test_a_state_of_commits_that_were_lost_is_forgotten() -> None:
    """A database that took over without the latest commits gives their versions to others."""
    recent, lost = ring(), Written()
    recent.append(lost.write([1, 1]))
    assert lost.head is not None
    recent.states.put(lost.head)
    another = Written()
    another.next()
    event = another.next(fact=step_completed("another")).event
    assert recent.head_after(event) is None
    assert recent.states.get(lost.head.id) is None
    assert recent.after(101) is None


def test_an_event_that_breaks_the_chain_is_not_folded() -> None:
    recent, written = ring(), Written()
    first, second = written.write([1, 1])
    recent.append([first])
    broken = LoggedEvent(
        replace(second.event.recorded, previous_hash="0" * 64),
        second.event.topic,
        second.event.stored,
        second.event.hash,
        102,
    )
    with pytest.raises(BrokenChainError):
        recent.head_after(broken)


def test_an_unknown_execution_is_not_in_the_cache() -> None:
    assert StateCache().get(UUID(int=1)) is None
