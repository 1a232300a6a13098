"""The base of all audits, and what they are handed."""

from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

import msgspec

from application.event_store.chained_events import Head, LoggedEvent, as_execution
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from domain.aggregates import Aggregate
from domain.directory.calendars import RecordedCalendar
from domain.directory.key_state import RecordedKey
from domain.directory.state import Person
from domain.execution.events import Recorded
from domain.execution.state import Execution
from domain.standing_grants.state import StandingGrant

NOTHING: tuple[Finding, ...] = ()
NAMES: dict[type, str] = {
    Execution: "execution",
    StandingGrant: "standing grant",
    Person: "person",
    RecordedKey: "API key",
    RecordedCalendar: "calendar",
}


class Step(msgspec.Struct, frozen=True, gc=False):
    """An event that could be folded, with the event and the state before it, and the head after."""

    event: LoggedEvent
    previous: Recorded | None
    state_before: Aggregate | None
    head: Head

    @property
    def before(self) -> Execution | None:
        """The execution before the event. Raises TypeError for the event of another stream."""
        return None if self.state_before is None else as_execution(self.state_before)

    def finding(self, kind: str, message: str, meaning: str) -> Finding:
        """Return a finding about this event."""
        recorded = self.event.recorded
        return Finding(
            kind,
            recorded.execution_id,
            recorded.version,
            self.event.position,
            message,
            meaning,
            NAMES[type(self.head.state)],
        )


class Stream(msgspec.Struct, frozen=True, gc=False):
    """A stream of which all events were read. ``kind`` says which.

    ``head`` is None if not all of them could be read and folded: then its state is unknown, and
    nothing can be compared with it. ``version`` and ``position`` are those of its last row.
    """

    id: UUID
    version: int
    position: int
    head: Head | None
    kind: type[Aggregate] = Execution

    def finding(self, kind: str, message: str, meaning: str) -> Finding:
        """Return a finding about the stream as it stands."""
        where = self.id, self.version, self.position
        return Finding(kind, *where, message, meaning, NAMES[self.kind])


class Audit:
    """Checks one subject. The methods are called in this order.

    ``streams`` says of which kinds of streams it is handed the events and the end.
    """

    streams: ClassVar[tuple[type, ...]] = (Execution,)

    def open(self, database: Database) -> None:
        """Prepare to read."""

    def event(self, _step: Step) -> Iterable[Finding]:
        """Check an event. It is called for each one, as long as its stream can be folded."""
        return NOTHING

    def ended(self, _stream: Stream) -> Iterable[Finding]:
        """Check a stream after its last event. They come in the order of ids."""
        return NOTHING

    def close(self) -> Iterable[Finding]:
        """Check what is left after the last execution."""
        return NOTHING

    def checked(self) -> Iterable[str]:
        """Say what was checked, with counts, one line for each subject."""
        return ()

    def notes(self) -> Iterable[str]:
        """Say what was seen that may or may not be in order."""
        return ()
