"""Rows of a table in the order of their executions, read beside the log and never all at once."""

from collections.abc import Iterator
from typing import LiteralString
from uuid import UUID

from application.event_store.verification.audit import Stream
from application.event_store.verification.database import Database, Row
from application.event_store.verification.findings import Finding

_NONE: list[Row] = []


class OrderedRows:
    """The rows of a statement whose first column is the execution's id, ordered by it.

    PostgreSQL orders UUIDs by their bytes, and so does Python. ``count`` is how many rows were
    read.
    """

    def __init__(self, database: Database, table: str, statement: LiteralString) -> None:
        self.table = table
        self.count = 0
        self._rows = database.stream(table, statement)
        self._next = next(self._rows, None)

    def of(self, stream: Stream) -> tuple[list[Row], list[Finding]]:
        """Return the rows of an execution, and findings for the rows of executions before it.

        Call it for every execution of the log, in order. A row that no call asks for belongs to an
        execution without events.
        """
        if self._next is None or self._next[0] > stream.id:
            return _NONE, []
        strays = self._strays(stream.id)
        return list(self._those_of(stream.id)), strays

    def rest(self) -> list[Finding]:
        """Return findings for the rows after the last execution."""
        return self._strays(None)

    def _those_of(self, id_: UUID) -> Iterator[Row]:
        while self._next is not None and self._next[0] == id_:
            yield self._take()

    def _strays(self, before: UUID | None) -> list[Finding]:
        found = []
        while self._next is not None and (before is None or self._next[0] < before):
            found.append(
                Finding(
                    self.table,
                    self._take()[0],
                    0,
                    0,
                    "there is a row for this execution, but the log has no event of it",
                    "the execution was removed from the log, or the row was added",
                )
            )
        return found

    def _take(self) -> Row:
        row = self._next
        assert row is not None
        self._next = next(self._rows, None)
        self.count += 1
        return row
