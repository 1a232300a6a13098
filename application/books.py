"""What the writer keeps beside the log, in the same commits: start keys, holds, timers."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from application.batch import Batch
from application.records import Head
from domain.state import Execution

_PUT_KEYS = """
    INSERT INTO start_keys (owner, workflow, key, execution_id)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[])
"""
_PUT_HOLDS = """
    INSERT INTO execution_holds (execution_id, queue, progress, woken_version)
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::boolean[], %s::bigint[])
    ON CONFLICT (execution_id) DO UPDATE
    SET progress = EXCLUDED.progress, woken_version = EXCLUDED.woken_version
"""
_PARK = """
    UPDATE execution_holds SET owner = NULL, worker = NULL, released_version = 0
    WHERE execution_id = ANY (%s)
"""
_DROP_HOLDS = "DELETE FROM execution_holds WHERE execution_id = ANY (%s)"
_HAND_OVER = """
    UPDATE execution_holds AS h SET owner = n.owner, worker = n.worker, fence = n.fence
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[]) AS n (id, owner, worker, fence)
    WHERE h.execution_id = n.id
"""
_PUT_LOST = """
    INSERT INTO lost_holds (owner, worker, execution_id)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::uuid[]) ON CONFLICT DO NOTHING
"""
_PUT_TIMERS = """
    INSERT INTO execution_timers (execution_id, key, fires_at)
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[])
"""
_DROP_TIMERS = """
    DELETE FROM execution_timers AS t USING unnest(%s::uuid[], %s::text[]) AS done (id, key)
    WHERE (t.execution_id, t.key) = (done.id, done.key)
"""

Statement = tuple[LiteralString, list[Any]]


def bookkeeping(batch: Batch) -> Iterator[Statement]:
    """Give what brings the tables up to what the batch decided, for its transaction."""
    if batch.started:
        rows = [(*key, execution_id) for key, execution_id in batch.started.items()]
        yield _PUT_KEYS, columns(rows, 4)
    if batch.ended:
        yield _DROP_HOLDS, [list(batch.ended)]
    if changed := _changed_holds(batch):
        yield _PUT_HOLDS, columns(changed, 4)
    if batch.parked:
        yield _PARK, [list(batch.parked)]
    if batch.claimed:
        claims = [(execution_id, *holder) for execution_id, holder in batch.claimed.items()]
        yield _HAND_OVER, columns(claims, 4)
    if batch.lost:
        yield _PUT_LOST, columns(batch.lost, 3)
    put, dropped = _changed_timers(batch)
    if dropped:
        yield _DROP_TIMERS, columns(dropped, 2)
    if put:
        yield _PUT_TIMERS, columns(put, 3)


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[Any]:
    """Give rows as so many arrays, for unnest()."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]


def _changed_holds(batch: Batch) -> list[tuple[UUID, str, bool, int]]:
    put: list[tuple[UUID, str, bool, int]] = []
    for execution_id in batch.touched():
        after = batch.heads[execution_id].execution
        before = batch.before.get(execution_id)
        new = before is None or execution_id in batch.ended
        if not after.state.final and (new or _work(before) != _work(batch.heads[execution_id])):
            put.append((execution_id, after.queue, *_work_on(after)))
    return put


def _work(head: Head | None) -> tuple[bool, int] | None:
    if head is None or head.execution.state.final:
        return None
    return _work_on(head.execution)


def _work_on(execution: Execution) -> tuple[bool, int]:
    woken_version = execution.woken_version if execution.parked is None else 0
    return execution.workable, woken_version


def _changed_timers(
    batch: Batch,
) -> tuple[list[tuple[UUID, str, datetime]], list[tuple[UUID, str]]]:
    """Give the timers that are pending now and were not before the batch, and the other way."""
    put: list[tuple[UUID, str, datetime]] = []
    dropped: list[tuple[UUID, str]] = []
    for execution_id in batch.touched():
        head, after = batch.before.get(execution_id), batch.heads[execution_id].execution
        before = None if head is None else head.execution
        untouched = not after.timers or (before is not None and before.timers is after.timers)
        if untouched and (before is None or before.state.final == after.state.final):
            continue
        was = {} if before is None else {timer.key: timer for timer in before.pending_timers()}
        now = {timer.key: timer for timer in after.pending_timers()}
        put += [(execution_id, key, now[key].fires_at) for key in now.keys() - was.keys()]
        dropped += [(execution_id, key) for key in was.keys() - now.keys()]
    return put, dropped
