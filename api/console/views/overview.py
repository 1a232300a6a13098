"""The numbers of the overview as charts: bars with places, and the same numbers for a table.

A bar is 1,000 wide, and its segments lie one after another. The template draws them in SVG. All
words are outside of the drawings, so that they keep their size in any window.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import TypeVar

import msgspec

from api.console.catalogue import N_
from projections.approvals.overview import Overview, Waiting, WorkflowEndings
from projections.approvals.statistics import (
    BY_PEOPLE,
    CHANGES_REQUESTED,
    ESCALATED,
    EXPIRED,
    GRANTED,
    GRANTED_BY_EXPIRY,
    REJECTED,
    percentile,
)

WIDTH = 1000
ROWS = 12
"""How many groups and workflows have a row of their own. All others have one together."""

AGES = (
    N_("less than an hour"),
    N_("less than a day"),
    N_("less than 3 days"),
    N_("less than a week"),
    N_("a week or longer"),
)
SHORT_AGES = (N_("< 1 hour"), N_("< 1 day"), N_("< 3 days"), N_("< 1 week"), N_("≥ 1 week"))
OUTCOMES = {
    GRANTED: N_("Approved"),
    REJECTED: N_("Rejected"),
    CHANGES_REQUESTED: N_("Changes requested"),
    EXPIRED: N_("Expired"),
    GRANTED_BY_EXPIRY: N_("Approved by expiry"),
}
TONES = {
    GRANTED: "yes",
    REJECTED: "no",
    CHANGES_REQUESTED: "wait",
    EXPIRED: "late",
    GRANTED_BY_EXPIRY: "auto",
}

T = TypeVar("T")


class Segment(msgspec.Struct, frozen=True):
    """A part of a bar: where it begins, how long it is, and the class of its colour."""

    start: float
    length: float
    tone: str


class WaitingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A group with how many wait for it, by age. ``name`` of None: see ``word``."""

    name: str | None
    word: str
    by_age: list[int]
    segments: list[Segment]

    @property
    def total(self) -> int:
        """How many wait in all."""
        return sum(self.by_age)


class DayColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A day: its numbers by outcome, and its column with segments from the bottom up."""

    day: date
    outcomes: dict[str, int]
    escalated: int
    segments: list[Segment]

    @property
    def total(self) -> int:
        """How many ended on this day."""
        return sum(self.outcomes.values())


class WorkflowRow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow: how its approvals ended, and after what time people had decided.

    ``name`` of None: see ``word``. ``half`` and ``most`` are the percentiles 50 and 90.
    """

    name: str | None
    word: str
    outcomes: dict[str, int]
    segments: list[Segment]
    half: timedelta | None
    most: timedelta | None
    half_length: float
    most_length: float

    @property
    def total(self) -> int:
        """How many ended."""
        return sum(self.outcomes.values())

    @property
    def decided(self) -> int:
        """How many people have decided."""
        return sum(self.outcomes[outcome] for outcome in BY_PEOPLE)

    def share(self, outcome: str) -> float:
        """Return the share that ended so."""
        return self.outcomes[outcome] / self.total if self.total else 0.0


class Charts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page shows. ``most`` is the number of the fullest day."""

    waiting: Waiting
    groups: list[WaitingRow]
    days: list[DayColumn]
    most: int
    workflows: list[WorkflowRow]
    ended: Counter[str]
    escalated: int

    @property
    def decided(self) -> int:
        """How many people have decided in the period."""
        return sum(self.ended[outcome] for outcome in BY_PEOPLE)

    @property
    def expired(self) -> int:
        """How many reached their deadline undecided in the period."""
        return self.ended[EXPIRED] + self.ended[GRANTED_BY_EXPIRY]


def charts_of(overview: Overview) -> Charts:
    """Return the charts of an overview."""
    days = _days(overview.days)
    ended: Counter[str] = Counter()
    for counts in overview.days.values():
        ended += counts
    escalated = ended.pop(ESCALATED, 0)
    return Charts(
        waiting=overview.waiting,
        groups=_groups(overview.waiting),
        days=days,
        most=max((day.total for day in days), default=0),
        workflows=_workflows(overview.workflows),
        ended=ended,
        escalated=escalated,
    )


def _groups(waiting: Waiting) -> list[WaitingRow]:
    ordered = sorted(waiting.groups.items(), key=lambda item: (-sum(item[1]), item[0]))
    rows: list[tuple[str | None, str, list[int]]] = [
        (name, "", by_age) for name, by_age in ordered[:ROWS]
    ]
    if others := ordered[ROWS:]:
        together = [sum(column) for column in zip(*(one for _, one in others), strict=True)]
        rows.append((None, N_("all other groups"), together))
    if any(waiting.no_group):
        rows.append((None, N_("people by name"), waiting.no_group))
    longest = max((sum(by_age) for _, _, by_age in rows), default=0)
    return [
        WaitingRow(
            name=name,
            word=word,
            by_age=by_age,
            segments=_stacked(((f"age-{age}", count) for age, count in enumerate(by_age)), longest),
        )
        for name, word, by_age in rows
    ]


def _days(days: dict[date, Counter[str]]) -> list[DayColumn]:
    most = max((sum(day[name] for name in OUTCOMES) for day in days.values()), default=0)
    return [
        DayColumn(
            day=day,
            outcomes=(outcomes := {name: counts[name] for name in OUTCOMES}),
            escalated=counts[ESCALATED],
            segments=_stacked(_toned(outcomes), most),
        )
        for day, counts in days.items()
    ]


def _workflows(workflows: dict[str, WorkflowEndings]) -> list[WorkflowRow]:
    ordered = sorted(workflows.items(), key=lambda item: (-_number(item[1]), item[0]))
    named: list[tuple[str | None, str, WorkflowEndings]] = [
        (name, "", ends) for name, ends in ordered[:ROWS] if _number(ends)
    ]
    if len(ordered) > ROWS:
        named.append((None, N_("all other workflows"), _together(one for _, one in ordered[ROWS:])))
    if len(named) > 1:
        named.insert(0, (None, N_("all workflows"), _together(workflows.values())))
    times = [(percentile(took, 0.5), percentile(took, 0.9)) for took in map(_took, _third(named))]
    longest = max((most for _, most in times if most is not None), default=None)
    return [
        WorkflowRow(
            name=name,
            word=word,
            outcomes=(outcomes := {one: ends.outcomes[one] for one in OUTCOMES}),
            segments=_stacked(_toned(outcomes), sum(outcomes.values())),
            half=half,
            most=most,
            half_length=_length(half, longest),
            most_length=_length(most, longest),
        )
        for (name, word, ends), (half, most) in zip(named, times, strict=True)
    ]


def _third(rows: Sequence[tuple[object, object, T]]) -> list[T]:
    return [third for _, _, third in rows]


def _number(ends: WorkflowEndings) -> int:
    return sum(ends.outcomes[outcome] for outcome in OUTCOMES)


def _took(ends: WorkflowEndings) -> Counter[int]:
    """Return the buckets of time of what people have decided."""
    took: Counter[int] = Counter()
    for outcome in BY_PEOPLE:
        took.update(ends.took.get(outcome, {}))
    return took


def _together(all_of: Iterable[WorkflowEndings]) -> WorkflowEndings:
    outcomes: Counter[str] = Counter()
    took: dict[str, Counter[int]] = {}
    for ends in all_of:
        outcomes.update(ends.outcomes)
        for outcome, counts in ends.took.items():
            took.setdefault(outcome, Counter()).update(counts)
    return WorkflowEndings(outcomes, took)


def _toned(outcomes: dict[str, int]) -> Iterable[tuple[str, int]]:
    return ((TONES[outcome], number) for outcome, number in outcomes.items())


def _stacked(parts: Iterable[tuple[str, int]], full: int) -> list[Segment]:
    """Return segments one after another, in a bar of which ``full`` is the whole width."""
    segments, start = [], 0.0
    for tone, number in parts:
        if number:
            length = number / full * WIDTH
            segments.append(Segment(round(start, 1), round(length, 1), tone))
            start += length
    return segments


def _length(span: timedelta | None, longest: timedelta | None) -> float:
    return 0.0 if span is None or not longest else round(max(span / longest * WIDTH, 4.0), 1)
