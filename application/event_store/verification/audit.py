"""The base of all audits, and what they are handed."""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from application.event_store.chained_events import Head, LoggedEvent
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from domain.execution.events import Recorded
from domain.execution.state import Execution

NOTHING: tuple[Finding, ...] = ()


class Step(msgspec.Struct, frozen=True, gc=False):
    """An event that could be folded, with the event and the state before it, and the head after."""

    event: LoggedEvent
    previous: Recorded | None
    before: Execution | None
    head: Head

    def finding(self, kind: str, message: str, meaning: str) -> Finding:
        """Return a finding about this event."""
        recorded = self.event.recorded
        return Finding(
            kind, recorded.execution_id, recorded.version, self.event.position, message, meaning
        )


class Stream(msgspec.Struct, frozen=True, gc=False):
    """An execution of which all events were read.

    ``head`` is None if not all of them could be read and folded: then its state is unknown, and
    nothing can be compared with it. ``version`` and ``position`` are those of its last row.
    """

    id: UUID
    version: int
    position: int
    head: Head | None

    def finding(self, kind: str, message: str, meaning: str) -> Finding:
        """Return a finding about the execution as it stands."""
        return Finding(kind, self.id, self.version, self.position, message, meaning)


class Audit:
    """Checks one subject. The methods are called in this order."""

    def open(self, database: Database) -> None:
        """Prepare to read."""

    def event(self, _step: Step) -> Iterable[Finding]:
        """Check an event. It is called for each one, as long as its execution can be folded."""
        return NOTHING

    def ended(self, _stream: Stream) -> Iterable[Finding]:
        """Check an execution after its last event. They come in the order of ids."""
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
