"""Decisions of substitutes: the log of the absent person must say that they are one.

That is elsewhere in the log, so it is looked up, for some hundred decisions at a time.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from application.event_store.chained_events import DAMAGE
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from domain.approvals.events import Decided
from domain.approvals.state import Decision
from domain.directory.events import PersonRecorded, SubstituteEnded, SubstituteSet
from domain.execution.events import Recorded
from domain.identifiers import person_stream_id
from domain.names import normal_set, same_name
from domain.serialization.event_codec import decode

KIND = "substitute"
GRACE = timedelta(minutes=1)
"""How long after a change a server may decide by what it knew, with the time in its queue."""

_AT_ONCE = 500
_PEOPLE = """
    SELECT originator_id, originator_version, topic, state, notification_id FROM execution_events
    WHERE originator_id = ANY (%s) ORDER BY originator_id, originator_version
"""
_NOBODY = "somebody decided in the place of another who had not named them"
_FORGED = "the decision says something else of the substitution than the log of the absent person"


class _Made(NamedTuple):
    """A decision of a substitute, with the step that recorded it."""

    step: Step
    decision: Decision
    stream_id: UUID


class _Change(NamedTuple):
    """An event of an absent person, with its position."""

    recorded: Recorded
    position: int


class SubstitutionsAudit(Audit):
    """Each decision in the place of an absent person was by their substitute, at that time."""

    def __init__(self) -> None:
        self._made: list[_Made] = []
        self._decisions = 0

    def open(self, database: Database) -> None:
        self._database = database

    def event(self, step: Step) -> Iterable[Finding]:
        event = step.event.recorded.event
        if isinstance(event, Decided) and event.substitution is not None:
            decision = step.head.execution.approvals[event.ordinal].decisions[-1]
            absent = "" if decision.on_behalf_of is None else decision.on_behalf_of.id
            self._made.append(_Made(step, decision, person_stream_id(absent)))
        return NOTHING

    def ended(self, _stream: Stream) -> Iterable[Finding]:
        return list(self._look_up()) if len(self._made) >= _AT_ONCE else NOTHING

    def close(self) -> Iterable[Finding]:
        yield from self._look_up()

    def checked(self) -> Iterable[str]:
        yield (
            f"{self._decisions} decisions of substitutes: the absent person, or an ADMIN, had "
            "named them for that time and for these groups"
        )

    def _look_up(self) -> Iterator[Finding]:
        made, self._made = self._made, []
        self._decisions += len(made)
        changes = self._load({each.stream_id for each in made})
        for each in made:
            yield from _flaws(each, changes.get(each.stream_id, []))

    def _load(self, ids: set[UUID]) -> dict[UUID, list[_Change]]:
        """Return the events of these people that can be read, in order."""
        found: dict[UUID, list[_Change]] = {}
        for id_, version, topic, state, position in self._database.rows(_PEOPLE, list(ids)):
            try:
                change = _Change(decode(id_, version, topic, state), position)
            except (*DAMAGE, TypeError):
                continue
            found.setdefault(id_, []).append(change)
        return found


def _flaws(made: _Made, changes: list[_Change]) -> Iterator[Finding]:
    step, decision = made.step, made.decision
    named = decision.substitution
    assert named is not None
    absent = "" if decision.on_behalf_of is None else decision.on_behalf_of.id
    what = f"substitution {named.number} of {absent!r}"
    before = [change for change in changes if change.position < step.event.position]
    events = [change.recorded.event for change in before]
    given = next(
        (e for e in events if isinstance(e, SubstituteSet) and e.number == named.number), None
    )
    if given is None or not same_name(given.substitute, decision.by.id):
        message = f"{what} did not make {decision.by.id!r} their substitute"
        yield step.finding(KIND, message, _NOBODY)
        return
    if not given.starts_at <= decision.at < given.ends_at:
        message = f"{what} is from {given.starts_at} to {given.ends_at}, not at {decision.at}"
        yield step.finding(KIND, message, _NOBODY)
    if any(
        isinstance(change.recorded.event, SubstituteEnded)
        and change.recorded.event.number == named.number
        and change.recorded.at + GRACE < decision.at
        for change in before
    ):
        yield step.finding(KIND, f"{what} had been ended before", _NOBODY)
    if (named.since, named.only_groups) != (given.starts_at, given.groups is not None):
        yield step.finding(KIND, f"{what} is not what the decision says", _FORGED)
    held = _groups_held(before, decision)
    covered = held if given.groups is None else held & normal_set(given.groups)
    if too_many := sorted(normal_set(decision.groups) - covered):
        message = f"{what} does not cover the groups {', '.join(too_many)}"
        yield step.finding(KIND, message, _FORGED)


def _groups_held(before: list[_Change], decision: Decision) -> frozenset[str]:
    """Return the groups that the absent person had at the decision, or shortly before."""
    groups: frozenset[str] = frozenset()
    for change in before:
        event = change.recorded.event
        if isinstance(event, PersonRecorded):
            current = normal_set(event.groups)
            recent = change.recorded.at + GRACE >= decision.at
            groups = groups | current if recent else current
    return groups
