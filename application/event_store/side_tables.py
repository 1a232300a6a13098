"""The rows of the side tables, written in the commits of the events: start keys, holds, timers.

``write_side_tables_v2`` in ``schema.sql`` writes them. They are a part of the parameter of the
statement that appends, because each further statement costs the driver as much as the database.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from domain.execution.state import Execution


class StartKeyRow(msgspec.Struct, frozen=True):
    """Which execution was started with an idempotency key."""

    owner: str
    workflow: str
    key: str
    execution_id: UUID


class HoldRow(msgspec.Struct, frozen=True):
    """Whether there is work to do on an execution that is not final.

    ``progress``: whether it can make progress now. ``woken_version``: the version of the last event
    that gave a waiting worker something to do.
    """

    execution_id: UUID
    queue: str
    progress: bool
    woken_version: int


class ClaimRow(msgspec.Struct, frozen=True):
    """Which worker holds an execution from now on, under which fence."""

    execution_id: UUID
    owner: str
    worker: str
    fence: int


class LostHoldRow(msgspec.Struct, frozen=True):
    """An execution that a worker held and that another worker has claimed."""

    owner: str
    worker: str
    execution_id: UUID


class TimerRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pending timer, set at ``set_version``; without ``fires_at``, one whose row is deleted."""

    execution_id: UUID
    key: str
    fires_at: datetime | None = None
    set_version: int | None = None


class SideTableRows(msgspec.Struct, omit_defaults=True):
    """All rows of one commit. ``ended`` and ``parked`` have the ids of executions."""

    started: list[StartKeyRow] = []
    ended: set[UUID] = set()
    holds: list[HoldRow] = []
    parked: set[UUID] = set()
    claimed: list[ClaimRow] = []
    lost: list[LostHoldRow] = []
    timers_dropped: list[TimerRow] = []
    timers: list[TimerRow] = []


def changed_hold(before: Execution | None, after: Execution) -> HoldRow | None:
    """Return the new row of an execution, None if it is final or the row does not change.

    ``before`` is None if there is no row yet.
    """
    if after.state.final:
        return None
    row = hold_of(after)
    return None if before is not None and not before.state.final and hold_of(before) == row else row


def changed_timers(
    before: Execution | None, after: Execution
) -> tuple[list[TimerRow], list[TimerRow]]:
    """Return the timers to insert and those to delete. A timer with a new time is in both."""
    untouched = not after.timers or (before is not None and before.timers is after.timers)
    if untouched and (before is None or before.state.final == after.state.final):
        return [], []
    was = {} if before is None else _pending(before)
    now = _pending(after)
    put = [row for key, row in now.items() if was.get(key) != row]
    return put, [TimerRow(after.id, key) for key, row in was.items() if now.get(key) != row]


def _pending(execution: Execution) -> dict[str, TimerRow]:
    return {
        timer.key: TimerRow(execution.id, timer.key, timer.fires_at, timer.set_version)
        for timer in execution.pending_timers()
    }


def hold_of(execution: Execution) -> HoldRow:
    """Return the row of an execution that is not final."""
    woken_version = execution.woken_version if execution.parked is None else 0
    return HoldRow(execution.id, execution.queue, execution.workable, woken_version)
