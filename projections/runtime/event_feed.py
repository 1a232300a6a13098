"""Reads events, folds them, and returns the changes for read models at one position."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from application.event_store.chained_events import (
    DAMAGE,
    FoldedEvent,
    Head,
    advance,
    logged,
    logged_or_unreadable,
)
from application.event_store.head_loader import Rows, Statement, load_heads, run_blocking
from application.event_store.recent_events import RecentEvents
from application.event_store.state_cache import StateCache
from domain.execution.state import Execution
from projections.querying.sql_files import statements
from projections.runtime.failures import Failure
from projections.runtime.read_model import Change, Changing, ReadModel

BATCH = 500

_LOG = statements("projections.runtime", "log.sql")


class Folded(NamedTuple):
    """The changes by events up to ``position``, and the last head of each changed execution.

    ``failures`` has the executions that can't be folded any further from here on.
    """

    changes: list[Change]
    heads: list[Head]
    position: int
    failures: list[Failure]


class EventFeed:
    """Reads and folds the log for read models that have all reached ``position``.

    ``resume_at`` (monotonic seconds) is when to try again after an error. Events are taken from
    ``recent`` if it has them, otherwise from the log. ``states`` has the heads of the executions
    that were folded last. ``failed`` has the executions whose events are passed over, from a
    position on.
    """

    def __init__(
        self,
        models: Sequence[ReadModel],
        position: int,
        *,
        recent: RecentEvents | None = None,
        states: StateCache | None = None,
        failed: Mapping[UUID, int] | None = None,
    ) -> None:
        self.models = list(models)
        self.position = position
        self.failed = dict(failed or {})
        self.resume_at = 0.0
        self._recent = recent
        self._states = states or StateCache()

    def read(
        self, connection: Connection[Any], *, limit: int = BATCH, upto: int | None = None
    ) -> Sequence[FoldedEvent]:
        """Return up to ``limit`` events after the position, up to ``upto`` inclusive.

        An event that can't be decoded is Unreadable.
        """
        if (
            self._recent is not None
            and upto is None
            and (known := self._recent.after(self.position, limit=limit))
        ):
            return known
        parameters = {"after": self.position, "limit": limit, "upto": upto}
        cursor = connection.cursor(row_factory=dict_row, binary=True)
        rows = cursor.execute(_LOG["after"], parameters, prepare=True)
        return [FoldedEvent(logged_or_unreadable(row), None) for row in rows]

    def fold(self, connection: Connection[Any], entries: Sequence[FoldedEvent]) -> Folded:
        """Fold the events after the position.

        An event that can't be folded is a failure of its execution. The later events of that
        execution are passed over, and those of the others are folded.
        """
        heads = self._heads_before(connection, entries)
        changes: dict[UUID, Changing] = {}
        failures: dict[UUID, Failure] = {}
        for entry in entries:
            recorded, position = entry.event.recorded, entry.event.position
            execution_id = recorded.execution_id
            if execution_id in failures or self._passes_over(entry):
                continue
            try:
                before = heads.get(execution_id)
                if isinstance(before, Exception):
                    raise before
                if entry.head is None:
                    entry.head = advance(before, entry.event)
            except DAMAGE as error:
                failures[execution_id] = Failure(
                    execution_id, recorded.version, position, str(error)
                )
                continue
            heads[execution_id] = entry.head
            changes.setdefault(execution_id, Changing()).note(entry.head, entry.event)
        done = list(changes.values())
        return Folded(
            [each.change() for each in done],
            [each.last for each in done],
            entries[-1].event.position if entries else self.position,
            list(failures.values()),
        )

    def fold_again(self, connection: Connection[Any], execution_id: UUID) -> Change | None:
        """Fold an execution that failed, from its first event up to the position.

        Returns None if it still can't be folded.
        """
        parameters = {"id": execution_id, "upto": self.position}
        cursor = connection.cursor(row_factory=dict_row, binary=True)
        rows = cursor.execute(_LOG["of_execution"], parameters, prepare=True).fetchall()
        changing = Changing()
        failed_at = self.failed.get(execution_id, 0)
        head: Head | None = None
        try:
            for row in rows:
                event = logged(row)
                head = advance(head, event)
                changing.note(head, event, known=event.position < failed_at)
        except DAMAGE:
            return None
        return None if head is None else changing.change()

    def accept(self, folded: Folded) -> None:
        """Continue after events whose changes were written."""
        self.position = folded.position
        self.failed |= {each.execution_id: each.position for each in folded.failures}
        for head in folded.heads:
            if isinstance(head.state, Execution) and head.state.state.final:
                # Only a retry can follow. It is so rare that the state can be read from the log.
                self._states.drop(head.id)
            else:
                self._states.put(head)

    def _heads_before(
        self, connection: Connection[Any], entries: Iterable[FoldedEvent]
    ) -> dict[UUID, Head | Exception | None]:
        """Return the heads before the events. Those not in memory are loaded together."""
        heads: dict[UUID, Head | Exception | None] = {}
        missing: dict[UUID, int] = {}
        for entry in entries:
            recorded = entry.event.recorded
            execution_id, version = recorded.execution_id, recorded.version - 1
            if execution_id in heads or self._passes_over(entry):
                continue
            heads[execution_id] = None
            if entry.head is not None or version == 0:
                continue
            head = self._states.get(execution_id)
            if head is None or head.version != version:
                head = None if self._recent is None else self._recent.head_before(entry.event)
            heads[execution_id] = head
            if head is None:
                missing[execution_id] = version
        if missing:
            cursor = connection.cursor(row_factory=dict_row, binary=True)

            def fetch(statement: Statement) -> Rows:
                return cursor.execute(*statement).fetchall()

            heads |= run_blocking(load_heads(missing), fetch)
        return heads

    def _passes_over(self, entry: FoldedEvent) -> bool:
        failed_at = self.failed.get(entry.event.recorded.execution_id)
        return failed_at is not None and entry.event.position >= failed_at
