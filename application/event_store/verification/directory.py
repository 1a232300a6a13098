"""The directory: the tables of people and substitutes are what the events give."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, LiteralString

import msgspec

from application.event_store.directory_rows import calendar_row, person_row, substitute_rows
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database, Row
from application.event_store.verification.findings import Finding
from application.event_store.verification.ordered_rows import OrderedRows
from domain import authorization
from domain.directory.calendars import RecordedCalendar
from domain.directory.events import PersonRecorded
from domain.directory.state import Person, PersonSource
from domain.identifiers import person_stream_id
from domain.names import same_name

KIND = "directory"

_PEOPLE: LiteralString = """
    SELECT stream_id, id, name, emails, folded_emails, groups, roles, active, source, external_id,
        provisioned_id, details
    FROM people ORDER BY stream_id
"""
_SUBSTITUTES: LiteralString = """
    SELECT stream_id, number, person, substitute, groups,
        CASE WHEN isfinite(starts_at) THEN starts_at END,
        CASE WHEN isfinite(ends_at) THEN ends_at END, set_by
    FROM substitutes ORDER BY stream_id, number
"""
_CALENDARS: LiteralString = "SELECT stream_id, name, definition FROM calendars ORDER BY stream_id"
_WRONG = "the service takes somebody for who they are not; the row was changed, added or removed"
_FORGED = "no server records this"
_BY_SERVICE = frozenset({PersonSource.API_KEY, PersonSource.TOKEN})


class DirectoryAudit(Audit):
    """Each person's rows are as their events give them, and there is no other row."""

    streams: ClassVar[tuple[type, ...]] = (Person, RecordedCalendar)

    def __init__(self) -> None:
        self._people = 0

    def open(self, database: Database) -> None:
        self._person_rows = OrderedRows(database, "people", _PEOPLE)
        self._substitute_rows = OrderedRows(database, "substitutes", _SUBSTITUTES)
        self._calendar_rows = OrderedRows(database, "calendars", _CALENDARS)

    def event(self, step: Step) -> Iterable[Finding]:
        if isinstance(step.head.state, RecordedCalendar):
            if same_name(step.event.recorded.actor.id, authorization.SERVICE.id):
                return NOTHING
            message = f"{step.event.recorded.actor.id!r} changed a calendar"
            return [step.finding(KIND, message, "only the server itself does that")]
        return list(_event_flaws(step))

    def ended(self, stream: Stream) -> Iterable[Finding]:
        if stream.kind is RecordedCalendar:
            return self._calendar_ended(stream)
        self._people += 1
        people, strays = self._person_rows.of(stream)
        substitutes, others = self._substitute_rows.of(stream)
        if stream.head is None:
            return [*strays, *others]
        person = stream.head.state
        assert isinstance(person, Person)
        return [
            *strays,
            *others,
            *_row_flaws(stream, "people", people, [_values(person_row(person))]),
            *_row_flaws(stream, "substitutes", substitutes, _all_values(person)),
        ]

    def _calendar_ended(self, stream: Stream) -> Iterable[Finding]:
        calendars, strays = self._calendar_rows.of(stream)
        if stream.head is None:
            return strays
        calendar = stream.head.state
        assert isinstance(calendar, RecordedCalendar)
        expected = [_values(calendar_row(calendar))]
        return [*strays, *_row_flaws(stream, "calendars", calendars, expected)]

    def close(self) -> Iterable[Finding]:
        yield from self._calendar_rows.rest()
        yield from self._person_rows.rest()
        yield from self._substitute_rows.rest()

    def checked(self) -> Iterable[str]:
        yield (
            f"{self._people} people: who recorded them, and {self._person_rows.count} rows of "
            f"people and {self._substitute_rows.count} rows of substitutes: all columns that "
            "events give"
        )


def _event_flaws(step: Step) -> Iterator[Finding]:
    recorded, person = step.event.recorded, step.head.state
    assert isinstance(person, Person)
    event, actor = recorded.event, recorded.actor
    if recorded.version == 1 and person_stream_id(person.person) != recorded.execution_id:
        yield step.finding(KIND, f"its id is not that of {person.person!r}", _FORGED)
    if isinstance(event, PersonRecorded):
        by_server = same_name(actor.id, authorization.SERVICE.id)
        own = same_name(actor.id, person.person) and event.source is PersonSource.API_KEY
        if event.source in _BY_SERVICE and not by_server and not own:
            message = f"{actor.id!r} recorded that {person.person!r} has signed in"
            yield step.finding(KIND, message, "only the server itself does that")


def _all_values(person: Person) -> list[Row]:
    return [_values(row) for row in substitute_rows(person)]


def _values(row: msgspec.Struct) -> Row:
    return tuple(
        list(value) if isinstance(value, tuple) else value for value in msgspec.structs.astuple(row)
    )


def _row_flaws(
    stream: Stream, table: str, found: list[Row], expected: list[Row]
) -> Iterator[Finding]:
    if found == expected:
        return
    if len(found) != len(expected):
        message = f"there are {len(found)} rows, but the events give {len(expected)}"
    else:
        columns = sum(
            a != b
            for was, wanted in zip(found, expected, strict=True)
            for a, b in zip(was, wanted, strict=True)
        )
        message = f"{columns} values are not what the events give"
    yield stream.finding(table, message, _WRONG)
