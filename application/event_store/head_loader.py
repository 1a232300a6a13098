"""Loading heads from the log: many executions in two or three round trips.

A load is a generator: it yields statements and is sent their rows. So the same code serves the
writer's connection, the pool of the readers, and the projector, which is not asynchronous.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, LiteralString, NamedTuple, TypeVar
from uuid import UUID

from psycopg.rows import DictRow

from application.event_store.recorded import DAMAGE, Head, fold_heads, logged
from application.event_store.snapshots import SNAPSHOT_INTERVAL, Snapshot, read_snapshot, resume

T = TypeVar("T")

Statement = tuple[LiteralString, list[Any]]
Rows = Sequence[DictRow]
Load = Generator[Statement, Rows, T]
Loaded = dict[UUID, Head | Exception]
"""The head of each execution, or what makes its log unreadable. Unknown executions are left out."""

LATEST = 2**62
"""A version that no execution reaches: all events are wanted."""

# An index look-up for each execution; max() with GROUP BY would read every snapshot of it.
_SNAPSHOTS = """
    SELECT s.originator_id, s.state FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (id, upto)
    CROSS JOIN LATERAL (
        SELECT originator_id, state FROM execution_snapshots
        WHERE originator_id = wanted.id AND originator_version <= wanted.upto
        ORDER BY originator_version DESC LIMIT 1
    ) AS s
"""
_EVENTS = """
    SELECT e.* FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS wanted (id, after, upto)
    CROSS JOIN LATERAL (
        SELECT * FROM execution_events
        WHERE originator_id = wanted.id
            AND originator_version > wanted.after AND originator_version <= wanted.upto
        ORDER BY originator_version
    ) AS e
"""


def load_heads(upto: Mapping[UUID, int]) -> Load[Loaded]:
    """Load the head of each execution at a version, or at its last one if that comes before.

    ``upto`` has the versions; LATEST asks for the last.
    """
    found = yield _SNAPSHOTS, [list(upto), list(upto.values())]
    snapshots = {
        row["originator_id"]: snapshot
        for row in found
        if (snapshot := read_snapshot(bytes(row["state"]))) is not None
    }
    after = {id_: snapshot.originator_version - 1 for id_, snapshot in snapshots.items()}
    loaded = _fold((yield events_between(dict.fromkeys(upto, 0) | after, upto)), snapshots)
    unusable = [id_ for id_ in snapshots if loaded.get(id_) is None]
    if unusable:
        rows = yield events_between(dict.fromkeys(unusable, 0), upto)
        loaded |= _fold(rows, {})
    return {id_: head for id_, head in loaded.items() if head is not None}


def events_between(after: Mapping[UUID, int], upto: Mapping[UUID, int] | None = None) -> Statement:
    """Give the statement for the events of executions, each after one version up to another.

    Without ``upto`` it is for all that follow.
    """
    last = [LATEST if upto is None else upto[id_] for id_ in after]
    return _EVENTS, [list(after), list(after.values()), last]


async def run(load: Load[T], fetch: Callable[[Statement], Awaitable[Rows]]) -> T:
    """Carry out a load. Many rows are folded in a thread: the event loop has others to serve."""
    step = _begin(load)
    while isinstance(step, _Pending):
        rows = await fetch(step.statement)
        if len(rows) < SNAPSHOT_INTERVAL:
            step = _send(load, rows)
        else:
            step = await asyncio.to_thread(_send, load, rows)
    return step.result


def run_blocking(load: Load[T], fetch: Callable[[Statement], Rows]) -> T:
    """Carry out a load in a thread that may wait."""
    step = _begin(load)
    while isinstance(step, _Pending):
        step = _send(load, fetch(step.statement))
    return step.result


class _Pending(NamedTuple):
    statement: Statement


class _Done(NamedTuple, Generic[T]):
    result: T


def _begin(load: Load[T]) -> _Pending | _Done[T]:
    return _Pending(next(load))


def _send(load: Load[T], rows: Rows) -> _Pending | _Done[T]:
    """Send rows. StopIteration is turned into a value: a future can't raise it."""
    try:
        return _Pending(load.send(rows))
    except StopIteration as end:
        return _Done(end.value)


def _fold(
    rows: Iterable[DictRow], snapshots: Mapping[UUID, Snapshot]
) -> dict[UUID, Head | Exception | None]:
    """Fold rows that are grouped by execution; None where the snapshot could not be used."""
    folded: dict[UUID, Head | Exception | None] = {}
    for id_, of_one in groupby(rows, key=itemgetter("originator_id")):
        events = map(logged, of_one)
        try:
            if id_ in snapshots:
                folded[id_] = resume(snapshots[id_], events)
            else:
                folded[id_] = fold_heads(None, events)
        except DAMAGE as error:
            folded[id_] = error
    return folded
