"""Reads events, folds them, and returns the changes for read models at one position."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from application.event_store.chained_events import DAMAGE, FoldedEvent, Head, advance, logged
from application.event_store.head_loader import Rows, Statement, load_heads, run_blocking
from application.event_store.recent_events import RecentEvents
from application.event_store.state_cache import StateCache
from projections.querying.sql_files import statements
from projections.runtime.read_model import Change, Changing, ReadModel

BATCH = 500

_LOG = statements("projections.runtime", "log.sql")


class PoisonedEventError(Exception):
    """An event can't be decoded or folded. Nothing after it can be projected."""


class Folded(NamedTuple):
    """The changes by events up to ``position``, and the last head of each changed execution."""

    changes: list[Change]
    heads: list[Head]
    position: int


class EventFeed:
    """Reads and folds the log for read models that have all reached ``position``.

    ``resume_at`` (monotonic seconds) is when to try again after an error. Events are taken from
    ``recent`` if it has them, otherwise from the log. ``states`` has the heads of the executions
    that were folded last.
    """

    def __init__(
        self,
        models: Sequence[ReadModel],
        position: int,
        *,
        recent: RecentEvents | None = None,
        states: StateCache | None = None,
    ) -> None:
        self.models = list(models)
        self.position = position
        self.resume_at = 0.0
        self._recent = recent
        self._states = states or StateCache()

    def read(
        self, connection: Connection[Any], *, limit: int = BATCH, upto: int | None = None
    ) -> Sequence[FoldedEvent]:
        """Return up to ``limit`` events after the position, up to ``upto`` inclusive.

        Stops before an event that can't be decoded. Raises PoisonedEventError if it is the first.
        """
        if (
            self._recent is not None
            and upto is None
            and (known := self._recent.after(self.position, limit=limit))
        ):
            return known
        parameters = {"after": self.position, "limit": limit, "upto": upto}
        cursor = connection.cursor(row_factory=dict_row, binary=True)
        return _decoded(cursor.execute(_LOG["after"], parameters, prepare=True))

    def fold(self, connection: Connection[Any], entries: Sequence[FoldedEvent]) -> Folded:
        """Fold the events after the position.

        Stops before an event that can't be folded. Raises PoisonedEventError if it is the first.
        """
        heads = self._heads_before(connection, entries)
        changes: dict[UUID, Changing] = {}
        position = self.position
        for entry in entries:
            event = entry.event
            execution_id = event.recorded.execution_id
            try:
                before = heads.get(execution_id)
                if isinstance(before, Exception):
                    raise before
                if entry.head is None:
                    entry.head = advance(before, event)
            except DAMAGE as error:
                if position == self.position:
                    raise _poisoned(event.position, error) from error
                break
            heads[execution_id] = entry.head
            changes.setdefault(execution_id, Changing()).note(entry.head, event.recorded.event)
            position = event.position
        done = list(changes.values())
        return Folded([each.change() for each in done], [each.last for each in done], position)

    def accept(self, folded: Folded) -> None:
        """Continue after events whose changes were written."""
        self.position = folded.position
        for head in folded.heads:
            if head.execution.state.final:
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
            if execution_id in heads:
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


def _decoded(rows: Iterable[DictRow]) -> list[FoldedEvent]:
    decoded: list[FoldedEvent] = []
    for row in rows:
        try:
            decoded.append(FoldedEvent(logged(row), None))
        except DAMAGE as error:
            if not decoded:
                raise _poisoned(row["notification_id"], error) from error
            break
    return decoded


def _poisoned(position: int, error: Exception) -> PoisonedEventError:
    return PoisonedEventError(f"the event at position {position} of the log: {error}")
