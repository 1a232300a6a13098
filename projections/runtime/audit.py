"""Compares the rows of the read models with what the events up to their position give.

A read model may be behind the log; it is compared as of its own position. Its rows are rendered by
the code that writes them, some hundred executions at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar
from uuid import UUID

from psycopg.rows import DictRow

from application.event_store.verification.audit import NAMES, NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from domain.refusals import DamagedEventError
from domain.serialization.state_codec import decode_state
from projections.querying.checkpoints import POSITIONS
from projections.runtime.read_model import Change, Changing, ReadModel

_AT_ONCE = 200
_REBUILD = "queries answer something else than the events say; placet-server rebuild repairs it"

_Key = tuple[Any, ...]


class ReadModelAudit(Audit):
    """Each row is as the events give it, and there is no other row."""

    streams: ClassVar[tuple[type, ...]] = tuple(NAMES)

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._position: int | None = None
        self._skipped = "it was not read"
        self._id: UUID | None = None
        self._changing = Changing()
        self._noted = False
        self._changes: list[Change] = []
        self._streams: dict[UUID, Stream] = {}
        self._rows = 0

    def open(self, database: Database) -> None:
        self._connection = database.connection
        rows = database.rows(POSITIONS["read"])
        found = {name: (position, version) for name, position, version in rows}
        known = found.get(self._model.name)
        if known is None:
            self._skipped = "it does not exist"
        elif known[1] != self._model.version:
            self._skipped = (
                f"its tables have version {known[1]}, and this is for {self._model.version}"
            )
        else:
            self._position = known[0]

    def event(self, step: Step) -> Iterable[Finding]:
        if self._position is None or step.event.position > self._position:
            return NOTHING
        if step.state_before is None:
            self._changing = Changing()
            self._noted = True
        self._changing.note(step.head, step.event)
        return NOTHING

    def ended(self, stream: Stream) -> Iterable[Finding]:
        noted, self._noted = self._noted, False
        if self._position is None or stream.head is None:
            return NOTHING
        self._streams[stream.id] = stream
        if noted:
            self._changes.append(self._changing.change())
        return list(self._compare()) if len(self._streams) >= _AT_ONCE else NOTHING

    def close(self) -> Iterable[Finding]:
        if self._position is None:
            return
        yield from self._compare()
        for execution_id, logged in self._model.strays(self._connection):
            message = "there are rows of this execution, but the log has no event of it"
            meaning = "the execution was removed from the log, or the rows were added"
            if logged:
                message, meaning = "there are words to search by, but no row", _REBUILD
            yield Finding(self._kind, execution_id, 0, 0, message, meaning)
        totals = self._model.other_totals(self._connection)
        if totals:
            message = f"{totals} totals are not what the rows give"
            yield Finding(self._kind, None, 0, 0, message, _REBUILD)

    def checked(self) -> Iterable[str]:
        if self._position is not None:
            yield (
                f"{self._rows} rows of the read model {self._model.name}: all columns, and the "
                f"words and labels to search by, as of its position {self._position}"
            )

    def notes(self) -> Iterable[str]:
        if self._position is None:
            yield f"the read model {self._model.name} was not checked: {self._skipped}"

    @property
    def _kind(self) -> str:
        return f"read model {self._model.name}"

    def _compare(self) -> Iterator[Finding]:
        streams, changes = self._streams, self._changes
        self._streams, self._changes = {}, []
        if not streams:
            return
        expected = self._model.expected(changes)
        keys: list[_Key] = list(zip(*(expected[name] for name in self._model.key), strict=True))
        stored = {
            tuple(row[name] for name in self._model.key): row
            for row in self._model.stored(self._connection, list(streams))
        }
        self._rows += len(stored)
        for number, key in enumerate(keys):
            for flaw in _flaws(stored.pop(key, None), expected, number):
                yield self._finding(streams, key, flaw)
        for key in stored:
            yield self._finding(streams, key, "there is a row that no event gives")
        for key in self._model.other_terms(self._connection, expected):
            yield self._finding(streams, key, "the times, words or labels to search by differ")

    def _finding(self, streams: dict[UUID, Stream], key: Sequence[Any], message: str) -> Finding:
        what = f"{self._model.row} {key[1]}: {message}" if len(key) > 1 else message
        return streams[key[0]].finding(self._kind, what, _REBUILD)


def _flaws(row: DictRow | None, expected: dict[str, Any], number: int) -> Iterator[str]:
    if row is None:
        yield "the row is missing"
        return
    for name, value in row.items():
        wanted = expected[name][number]
        if value == wanted or (name == "body" and _same_state(value, wanted)):
            continue
        # The body of a row is too long to be shown.
        yield "body differs" if name == "body" else f"{name} is {value!s}, not {wanted!s}"


def _same_state(stored: bytes, wanted: bytes) -> bool:
    """Whether two states are the same, although they may have been written by different servers."""
    try:
        return decode_state(stored) == decode_state(wanted)
    except DamagedEventError:
        return False
