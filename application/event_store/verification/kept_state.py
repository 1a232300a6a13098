"""The state of the log that is kept in a file, to be compared on a later day.

Who changes the database can compute new hashes. Who does not have this file can't change what it
says: of each execution its version, the hash of that version, and a hash of all its positions. So
it must be kept where an administrator of the database can't write.

The file has a line of JSON for each execution, in the order of their ids, and a last line with the
counts and a hash of all lines. It is read and written beside the log and never held in memory.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, ClassVar
from uuid import UUID

import msgspec

from application.event_store.verification.audit import NAMES, NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding

KIND = "kept state"

_FORMAT = "placet-verify-1"
_LAST = "SELECT coalesce(max(notification_id), 0) FROM execution_events"


class _Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An execution. ``positions`` is the hash of the positions of its events, in order."""

    id: UUID
    version: int
    hash: str
    positions: str


class _End(msgspec.Struct, frozen=True):
    """The last line. ``position`` is that of the log's last event, ``digest`` that of all lines."""

    format: str
    at: datetime
    executions: int
    events: int
    position: int
    digest: str


class KeptState(Audit):
    """Compares with the file if it exists. :meth:`keep` replaces it with the state that was read.

    Raises ValueError for a file that is not a complete state.
    """

    streams: ClassVar[tuple[type, ...]] = tuple(NAMES)

    def __init__(self, path: Path) -> None:
        if not path.parent.is_dir():
            message = f"there is no directory {path.parent}"
            raise ValueError(message)
        self._path = path
        self._end: _End | None = None
        self._old: Iterator[_Line] = iter(())
        self._next: _Line | None = None
        self._mine: _Line | None = None
        self._id: UUID | None = None
        self._strays: list[Finding] = []
        self._positions = _positions()
        self._lines = hashlib.sha256()
        self._executions = self._events = self._compared = 0
        self._position = 0
        self._new: IO[bytes] | None = None

    def open(self, database: Database) -> None:
        [(self._position,)] = database.rows(_LAST)
        if self._path.exists():
            self._end = _checked_end(self._path)
            self._old = _lines(self._path)
            self._next = next(self._old, None)
        # In the same directory, because a file can be replaced at once only within a file system.
        self._new = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by keep or drop
            dir=self._path.parent, prefix=f"{self._path.name}.", delete=False
        )

    def event(self, step: Step) -> Iterable[Finding]:
        event, version = step.event, step.head.version
        if version == 1:
            self._begin(step.head.id)
        self._positions.update(event.position.to_bytes(8, "big", signed=True))
        if self._end is None:
            return NOTHING
        old = self._mine
        if old is None or version > old.version:
            if event.position > self._end.position:
                return NOTHING
            message = f"{self._then} there was no such event"
            meaning = f"it was inserted since, before position {self._end.position}"
            return [step.finding(KIND, message, meaning)]
        if version < old.version:
            return NOTHING
        found = []
        if event.hash != old.hash:
            message = f"{self._then} it had the hash {old.hash}, not {event.hash}"
            found.append(step.finding(KIND, message, "the events up to here were written anew"))
        if self._positions.hexdigest() != old.positions:
            message = f"{self._then} the events up to here had other positions"
            found.append(step.finding(KIND, message, "the order of the log was changed"))
        return found

    def ended(self, stream: Stream) -> Iterable[Finding]:
        if self._id != stream.id:
            self._begin(stream.id)
        found, self._strays = self._strays, []
        old = self._mine
        if old is not None:
            self._compared += 1
            if stream.version < old.version:
                message = f"{self._then} it had {old.version} events"
                found.append(stream.finding(KIND, message, "its last events were cut off"))
        if stream.head is not None and self._new is not None:
            line = _Line(stream.id, stream.version, stream.head.hash, self._positions.hexdigest())
            encoded = msgspec.json.encode(line) + b"\n"
            self._lines.update(encoded)
            self._new.write(encoded)
            self._executions += 1
            self._events += stream.version
        return found

    def close(self) -> Iterable[Finding]:
        return self._removed(None)

    def checked(self) -> Iterable[str]:
        if self._end is None:
            yield f"{self._path}: not there yet, so nothing is compared with an earlier day"
        else:
            yield (
                f"{self._compared} of {self._end.executions} executions of {self._path}, as they "
                f"were {self._then}: the same {self._end.events} events at the same positions, and "
                f"none that was inserted before position {self._end.position}"
            )

    def keep(self) -> str:
        """Replace the file by the new state, at once. Returns the hash of the whole file."""
        assert self._new is not None
        end = _End(
            _FORMAT,
            datetime.now(UTC).replace(microsecond=0),
            self._executions,
            self._events,
            self._position,
            self._lines.hexdigest(),
        )
        line = msgspec.json.encode(end) + b"\n"
        self._lines.update(line)
        self._new.write(line)
        self._new.flush()
        os.fsync(self._new.fileno())
        self._new.close()
        Path(self._new.name).replace(self._path)
        self._new = None
        return self._lines.hexdigest()

    def drop(self) -> None:
        """Delete the new state, and leave the file as it is."""
        if self._new is not None:
            self._new.close()
            Path(self._new.name).unlink(missing_ok=True)

    @property
    def _then(self) -> str:
        assert self._end is not None
        return f"on {self._end.at:%Y-%m-%d at %H:%M} UTC"

    def _begin(self, id_: UUID) -> None:
        """Find the execution in the file. Those before it are no longer in the log."""
        self._id = id_
        self._positions = _positions()
        self._strays += self._removed(id_)
        self._mine = None
        if self._next is not None and self._next.id == id_:
            self._mine = self._next
            self._next = next(self._old, None)

    def _removed(self, before: UUID | None) -> list[Finding]:
        found = []
        while self._next is not None and (before is None or self._next.id < before):
            message = f"{self._then} it had {self._next.version} events, now none"
            meaning = "the execution was removed from the log"
            found.append(Finding(KIND, self._next.id, 0, 0, message, meaning))
            self._next = next(self._old, None)
        return found


def _positions() -> "hashlib.blake2b":
    """Return a new hash of positions. It is short, because there is one for each execution."""
    return hashlib.blake2b(digest_size=16)


def _checked_end(path: Path) -> _End:
    """Return the last line of a file, if it is that of all lines before it."""
    lines, executions, last = hashlib.sha256(), -1, b""
    with path.open("rb") as file:
        for line in file:
            if executions >= 0:
                lines.update(last)
            executions += 1
            last = line
    try:
        end = msgspec.json.decode(last, type=_End)
    except msgspec.MsgspecError:
        end = None
    if end is None or (end.format, end.executions, end.digest) != (
        _FORMAT,
        executions,
        lines.hexdigest(),
    ):
        message = f"{path} is not a complete state of `placet-server verify --state`"
        raise ValueError(message)
    return end


def _lines(path: Path) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    with path.open("rb") as file:
        for line in file:
            if line.startswith(b"["):
                yield decoder.decode(line)
