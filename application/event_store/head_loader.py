"""Loads heads from the log, of many executions in two or three round trips.

A load is a generator: it yields statements, and the caller sends it their rows. So the same code
works on the writer's connection, on the pool of the readers, and in the projector's thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, LiteralString, NamedTuple, TypeVar
from uuid import UUID

from psycopg.rows import DictRow

from application.event_store.chained_events import DAMAGE, Head, fold_heads, logged
from application.event_store.snapshots import (
    SNAPSHOT_INTERVAL,
    SNAPSHOT_TOPIC,
    Snapshot,
    read_snapshot,
    resume,
)

T = TypeVar("T")

Statement = tuple[LiteralString, list[Any]]
Rows = Sequence[DictRow]
Load = Generator[Statement, Rows, T]
Loaded = dict[UUID, Head | Exception]
"""The head of each execution, or the error if its events can't be read. Without unknown ones."""

_FOLDING = ThreadPoolExecutor(1, "placet-fold")
"""One thread: several would slow each other and the event loop down, because one runs at a time."""

LATEST = 2**62
"""A version that no execution reaches. It asks for all events."""

# One index look-up for each execution. max() with GROUP BY would read all of its snapshots.
_SNAPSHOTS = """
    SELECT s.*, (SELECT value FROM server_secrets WHERE name = 'snapshots') AS secret
    FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (id, upto)
    CROSS JOIN LATERAL (
        SELECT originator_id, originator_version, state FROM execution_snapshots
        WHERE originator_id = wanted.id AND originator_version <= wanted.upto AND topic = %s
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
    """Load the head of each execution at a version, or at its last version if that is lower.

    ``upto`` has the versions. LATEST asks for the last one.
    """
    found = yield _SNAPSHOTS, [list(upto), list(upto.values()), SNAPSHOT_TOPIC]
    snapshots: dict[UUID, Snapshot] = {}
    after: dict[UUID, int] = {}
    for row in found:
        id_, version = row["originator_id"], row["originator_version"]
        snapshot = read_snapshot(id_, version, bytes(row["state"]), bytes(row["secret"]))
        if snapshot is not None:
            snapshots[id_] = snapshot
            after[id_] = version - 1
    loaded = _fold((yield events_between(dict.fromkeys(upto, 0) | after, upto)), snapshots)
    unusable = [id_ for id_ in snapshots if loaded.get(id_) is None]
    if unusable:
        rows = yield events_between(dict.fromkeys(unusable, 0), upto)
        loaded |= _fold(rows, {})
    return {id_: head for id_, head in loaded.items() if head is not None}


def events_between(after: Mapping[UUID, int], upto: Mapping[UUID, int] | None = None) -> Statement:
    """Return the statement that reads events of executions, after one version up to another.

    Without ``upto`` it reads all events that follow.
    """
    last = [LATEST if upto is None else upto[id_] for id_ in after]
    return _EVENTS, [list(after), list(after.values()), last]


async def run(load: Load[T], fetch: Callable[[Statement], Awaitable[Rows]]) -> T:
    """Run a load. Many rows are folded in a thread, so that the event loop is not blocked."""
    step = _begin(load)
    while isinstance(step, _Pending):
        rows = await fetch(step.statement)
        if len(rows) < SNAPSHOT_INTERVAL:
            step = _send(load, rows)
        else:
            step = await asyncio.get_running_loop().run_in_executor(_FOLDING, _send, load, rows)
    return step.result


def run_blocking(load: Load[T], fetch: Callable[[Statement], Rows]) -> T:
    """Run a load in a thread that may block."""
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
    """Send rows. StopIteration becomes a value, because a future can't raise it."""
    try:
        return _Pending(load.send(rows))
    except StopIteration as end:
        return _Done(end.value)


def _fold(
    rows: Iterable[DictRow], snapshots: Mapping[UUID, Snapshot]
) -> dict[UUID, Head | Exception | None]:
    """Fold rows that are grouped by execution. None where the snapshot could not be used."""
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
