"""The events of an execution in time: a bar to scale, and a list with the gaps between them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from api.console.views.fields import Line, fields
from api.console.views.state_diagram import states_of
from api.console.views.wording import STATES, TONES
from api.schema.events import data_of
from application.event_store.chained_events import LoggedEvent
from domain.serialization.event_codec import Unreadable

SCALE = 1_000
NOTABLE_GAP = timedelta(seconds=1)
NARROWEST = 2


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A time in one state, in thousandths of the whole."""

    start: float
    width: float
    word: str
    tone: str
    lasted: timedelta


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """An event on the bar, in thousandths of the whole."""

    at: float
    type: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An event in the list. ``gap`` is the time since the event before, None if it is short."""

    version: int
    position: int
    type: str
    actor: str
    at: datetime
    gap: timedelta | None
    wide: int
    data: list[Line]


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The whole time from the first event to the last, or to now if the execution goes on."""

    spans: list[Span]
    marks: list[Mark]
    lasted: timedelta


def timeline_of(events: Sequence[LoggedEvent], end: datetime) -> Timeline:
    """Draw events, of which there is at least one, on a bar that ends at ``end``."""
    begin = events[0].recorded.at
    whole = max((end - begin) / timedelta(microseconds=1), 1.0)

    def place(at: datetime) -> float:
        return round((at - begin) / timedelta(microseconds=1) / whole * SCALE, 1)

    spans: list[Span] = []
    states = states_of(events)
    first = 0
    for number in range(1, len(events) + 1):
        state = states[first]
        if number < len(events) and states[number] is state:
            continue
        until = events[number].recorded.at if number < len(events) else end
        since = events[first].recorded.at
        if state is not None and until > since:
            spans.append(
                Span(
                    start=place(since),
                    width=max(place(until) - place(since), NARROWEST),
                    word=STATES[state.value],
                    tone=TONES[state.value],
                    lasted=until - since,
                )
            )
        first = number
    marks = [Mark(at=place(e.recorded.at), type=_type(e)) for e in events]
    return Timeline(spans=spans, marks=marks, lasted=end - begin)


def entries_of(events: Sequence[LoggedEvent], before: datetime | None) -> list[Entry]:
    """List events. ``before`` is the time of the event before the first of them."""
    entries = []
    times = [event.recorded.at for event in events]
    gaps = [at - (times[i - 1] if i else before or at) for i, at in enumerate(times)]
    longest = max(gaps, default=timedelta())
    for event, gap in zip(events, gaps, strict=True):
        recorded = event.recorded
        entries.append(
            Entry(
                version=recorded.version,
                position=event.position,
                type=_type(event),
                actor=recorded.actor.name or recorded.actor.id,
                at=recorded.at,
                gap=gap if gap >= NOTABLE_GAP else None,
                wide=round(gap / longest * 5) if longest else 0,
                data=fields(_data(event)) if _data(event) else [],
            )
        )
    return entries


def _type(event: LoggedEvent) -> str:
    return type(event.recorded.event).__name__


def _data(event: LoggedEvent) -> dict[str, Any]:
    """Return what an event says, without what it leaves at its default."""
    recorded = event.recorded.event
    if isinstance(recorded, Unreadable):
        return {"reason": recorded.reason}
    return {
        name: value
        for name, value in data_of(recorded).items()
        if value not in (None, [], "") and value is not False
    }
