"""Reads the log, folds it, and hands what changed to read models that stand at one position."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from domain.execution.events import Recorded
from domain.execution.evolve import evolve, fold
from domain.execution.state import Execution
from domain.refusals import DamagedEventError, IllegalTransitionError, UnknownTopicError
from domain.serialization.event_codec import decode
from projections.querying.sql_files import statements
from projections.runtime.inbox import Inbox, Known
from projections.runtime.read_model import Change, ReadModel

Load = Callable[[UUID, int], Execution | None]
Origin = Execution | Exception | None

UNFOLDABLE = (DamagedEventError, UnknownTopicError, IllegalTransitionError)

BATCH = 500
STATES = 10_000

# Up to this version a missing state is folded from the log, many in one query; beyond, whoever
# has snapshots is asked.
_SHORT = 200

_LOG = statements("projections.runtime", "log.sql")


class PoisonedEventError(Exception):
    """An event that can't be decoded or folded. Nothing after it can be projected."""


class Row(NamedTuple):
    """A row of the log, as it lies there."""

    position: int
    execution_id: UUID
    version: int
    topic: str
    stored: bytes

    def read(self) -> tuple[Recorded, None]:
        """Decode the event; the state after it has to be folded."""
        return decode(self.execution_id, self.version, self.topic, self.stored), None


class Folded(NamedTuple):
    """What rows of the log changed, up to ``position``."""

    changes: list[Change]
    position: int


class _Changing:
    __slots__ = ("after", "before", "touched")

    def __init__(self, before: Execution | None) -> None:
        self.before = before
        self.after = before
        self.touched: dict[int, Execution] = {}


class EventFeed:
    """Projects the log into read models that all stand at ``position``.

    ``resume_at`` (monotonic seconds) is when to try again after something stopped it. What is in
    the ``inbox`` is not read from the log.
    """

    def __init__(
        self,
        models: Sequence[ReadModel],
        position: int,
        *,
        load: Load | None = None,
        inbox: Inbox[Any] | None = None,
        states: int = STATES,
    ) -> None:
        self.models = list(models)
        self.position = position
        self.resume_at = 0.0
        self._load = load
        self._inbox = inbox
        self._size = states
        self._states: OrderedDict[UUID, Execution] = OrderedDict()

    def read(
        self, connection: Connection[Any], *, limit: int = BATCH, upto: int | None = None
    ) -> Sequence[Row | Known]:
        """Give up to ``limit`` rows of the log after the position, none beyond ``upto``."""
        if (
            self._inbox is not None
            and upto is None
            and (known := self._inbox.after(self.position, limit=limit))
        ):
            return known
        cursor = connection.execute(
            _LOG["after"],
            {"after": self.position, "limit": limit, "upto": upto},
            prepare=True,
            binary=True,
        )
        return list(map(Row._make, cursor.fetchall()))

    def fold(self, connection: Connection[Any], rows: Sequence[Row | Known]) -> Folded:
        """Fold rows that follow the position.

        Stops before the first that can't be decoded or folded. Raises PoisonedEventError if that
        is the first of all, since nothing can be projected then.
        """
        origins = self._origins(connection, rows)
        changes: dict[UUID, _Changing] = {}
        position = self.position
        for row in rows:
            try:
                self._advance(changes, origins, row)
            except UNFOLDABLE as error:
                if position == self.position:
                    msg = f"the event at position {row.position} of the log: {error}"
                    raise PoisonedEventError(msg) from error
                break
            position = row.position
        done = [Change(c.before, c.after, c.touched) for c in changes.values() if c.after]
        return Folded(done, position)

    def accept(self, folded: Folded) -> None:
        """Go on from where the read models stand after writing."""
        self.position = folded.position
        for change in folded.changes:
            self._keep(change.after)

    def _advance(
        self, changes: dict[UUID, _Changing], origins: Mapping[UUID, Origin], row: Row | Known
    ) -> None:
        changing = changes.get(row.execution_id)
        if changing is None:
            changing = _Changing(self._before(origins, row))
        recorded, state = row.read()
        if state is None:
            state = evolve(changing.after, recorded)
        changing.after = state
        ordinal = getattr(recorded.event, "ordinal", None)
        if ordinal is not None:
            changing.touched[ordinal] = state
        changes[row.execution_id] = changing

    def _before(self, origins: Mapping[UUID, Origin], row: Row | Known) -> Execution | None:
        if row.version == 1:
            return None
        origin = origins.get(row.execution_id)
        if isinstance(origin, Exception):
            raise origin
        if origin is None and self._load is not None:
            return self._load(row.execution_id, row.version - 1)
        return origin

    def _origins(
        self, connection: Connection[Any], rows: Iterable[Row | Known]
    ) -> dict[UUID, Origin]:
        """Give the states that the rows follow; those not kept are folded in one query."""
        origins: dict[UUID, Origin] = {}
        missing = []
        seen = set()
        for row in rows:
            if row.execution_id in seen:
                continue
            seen.add(row.execution_id)
            kept = self._states.get(row.execution_id)
            if kept is not None and kept.version == row.version - 1:
                origins[row.execution_id] = kept
            elif row.version > 1 and (self._load is None or row.version <= _SHORT):
                missing.append(row.execution_id)
        if missing:
            parameters = {"ids": missing, "position": self.position}
            cursor = connection.execute(_LOG["before"], parameters, binary=True)
            histories = groupby(map(Row._make, cursor), key=lambda row: row.execution_id)
            origins.update((execution_id, _origin(history)) for execution_id, history in histories)
        return origins

    def _keep(self, state: Execution) -> None:
        if state.state.final:
            # Nothing follows but a retry, which is rare enough to read the log for.
            self._states.pop(state.id, None)
            return
        self._states[state.id] = state
        self._states.move_to_end(state.id)
        if len(self._states) > self._size:
            self._states.popitem(last=False)


def _origin(history: Iterable[Row]) -> Origin:
    try:
        return fold(None, (row.read()[0] for row in history))
    except UNFOLDABLE as error:
        return error
