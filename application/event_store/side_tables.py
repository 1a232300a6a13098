"""What the writer keeps beside the log, in the same commits: start keys, holds, timers.

``keep_books`` in ``tables.sql`` takes it, as a part of what the statement that appends is given:
each statement more would cost the driver as much as the database.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from application.command_handling.batch import CommandBatch
from application.event_store.recorded import Head
from domain.execution.state import Execution

Rows = list[dict[str, Any]]
Books = dict[str, Any]
"""Rows to write, by what they are for; what there are none for is left out."""


def books(batch: CommandBatch) -> Books:
    """Give what brings the tables up to what the batch decided."""
    put, dropped = _changed_timers(batch)
    changed: Books = {
        "started": [
            {"owner": key.owner, "workflow": key.workflow, "key": key.key, "execution_id": id_}
            for key, id_ in batch.started.items()
        ],
        "ended": batch.ended,
        "holds": _changed_holds(batch),
        "parked": batch.parked,
        "claimed": [
            {"execution_id": id_, "owner": owner, "worker": worker, "fence": fence}
            for id_, (owner, worker, fence) in batch.claimed.items()
        ],
        "lost": [
            {"owner": owner, "worker": worker, "execution_id": id_}
            for owner, worker, id_ in batch.lost
        ],
        "timers_dropped": dropped,
        "timers": put,
    }
    return {what: rows for what, rows in changed.items() if rows}


def _changed_holds(batch: CommandBatch) -> Rows:
    put: Rows = []
    for execution_id in batch.touched:
        after = batch.heads[execution_id].execution
        before = batch.before.get(execution_id)
        new = before is None or execution_id in batch.ended
        if not after.state.final and (new or _work(before) != _work(batch.heads[execution_id])):
            progress, woken_version = _work_on(after)
            put.append(
                {
                    "execution_id": execution_id,
                    "queue": after.queue,
                    "progress": progress,
                    "woken_version": woken_version,
                }
            )
    return put


def _work(head: Head | None) -> tuple[bool, int] | None:
    if head is None or head.execution.state.final:
        return None
    return _work_on(head.execution)


def _work_on(execution: Execution) -> tuple[bool, int]:
    woken_version = execution.woken_version if execution.parked is None else 0
    return execution.workable, woken_version


def _changed_timers(batch: CommandBatch) -> tuple[Rows, Rows]:
    """Give the timers that are pending now and were not before the batch, and the other way."""
    put: Rows = []
    dropped: Rows = []
    for execution_id in batch.touched:
        head, after = batch.before.get(execution_id), batch.heads[execution_id].execution
        before = None if head is None else head.execution
        untouched = not after.timers or (before is not None and before.timers is after.timers)
        if untouched and (before is None or before.state.final == after.state.final):
            continue
        was = {} if before is None else {timer.key: timer for timer in before.pending_timers()}
        now = {timer.key: timer for timer in after.pending_timers()}
        put += [_timer(execution_id, key, now[key].fires_at) for key in now.keys() - was.keys()]
        dropped += [_timer(execution_id, key) for key in was.keys() - now.keys()]
    return put, dropped


def _timer(execution_id: UUID, key: str, fires_at: datetime | None = None) -> dict[str, Any]:
    return {"execution_id": execution_id, "key": key, "fires_at": fires_at}
