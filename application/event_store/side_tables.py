"""The rows of the side tables, written in the commits of the events.

The tables have start keys, holds, timers, open standing grants, the directory and API keys.

``write_side_tables_v8`` in ``schema.sql`` writes them. They are a part of the parameter of the
statement that appends, because each further statement costs the driver as much as the database.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from application.event_store.directory_rows import (
    ApiKeyRow,
    CalendarRow,
    PersonRow,
    SubstituteKey,
    SubstituteRow,
    api_key_row,
    calendar_row,
    person_row,
    substitute_rows,
)
from domain.aggregates import Aggregate
from domain.directory.calendars import RecordedCalendar
from domain.directory.key_state import RecordedKey
from domain.directory.state import Person
from domain.execution.state import Execution
from domain.standing_grants.state import StandingGrant


class StartKeyRow(msgspec.Struct, frozen=True):
    """Which execution was started with an idempotency key."""

    owner: str
    workflow: str
    key: str
    execution_id: UUID


class HoldRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether there is work to do on an execution that is not final, and who can do it.

    ``progress``: whether it can make progress now. ``woken_version``: the version of the last event
    that gave a waiting worker something to do. ``cancel_requested_at``: since when a cancellation
    waits for its clean-up.
    """

    execution_id: UUID
    queue: str
    progress: bool
    woken_version: int
    workflow: str
    workflow_version: str | None = None
    cancel_requested_at: datetime | None = None


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
    """A pending timer, set at ``set_version``; without ``fires_at``, one whose row is deleted.

    It may also be what is due next for an approval with a deadline; see :func:`deadline_key`.
    """

    execution_id: UUID
    key: str
    fires_at: datetime | None = None
    set_version: int | None = None


class OpenGrantRow(msgspec.Struct, frozen=True):
    """A standing grant that is not revoked and has uses left."""

    grant_id: UUID
    expires_at: datetime


class SideTableRows(msgspec.Struct, omit_defaults=True):
    """All rows of one commit.

    ``ended`` and ``parked`` have the ids of executions, ``grants_closed`` those of standing grants.
    """

    started: list[StartKeyRow] = []
    ended: set[UUID] = set()
    holds: list[HoldRow] = []
    parked: set[UUID] = set()
    claimed: list[ClaimRow] = []
    lost: list[LostHoldRow] = []
    timers_dropped: list[TimerRow] = []
    timers: list[TimerRow] = []
    grants_opened: list[OpenGrantRow] = []
    grants_closed: set[UUID] = set()
    people: list[PersonRow] = []
    substitutes: list[SubstituteRow] = []
    substitutes_ended: list[SubstituteKey] = []
    api_keys: list[ApiKeyRow] = []
    calendars: list[CalendarRow] = []

    def add(self, before: Aggregate | None, after: Aggregate) -> None:
        """Add what changes for a stream that is no execution."""
        match after:
            case StandingGrant():
                self._add_grant(before if isinstance(before, StandingGrant) else None, after)
            case Person():
                self._add_person(before if isinstance(before, Person) else None, after)
            case RecordedKey():
                self.api_keys.append(api_key_row(after))
            case RecordedCalendar():
                self.calendars.append(calendar_row(after))

    def _add_grant(self, before: StandingGrant | None, after: StandingGrant) -> None:
        was_open = before is not None and before.open
        if after.open and not was_open:
            self.grants_opened.append(OpenGrantRow(after.id, after.expires_at))
        elif was_open and not after.open:
            self.grants_closed.add(after.id)

    def _add_person(self, before: Person | None, after: Person) -> None:
        row = person_row(after)
        if before is None or person_row(before) != row:
            self.people.append(row)
        was = [] if before is None else substitute_rows(before)
        now = substitute_rows(after)
        self.substitutes += [each for each in now if each not in was]
        numbers = {each.number for each in now}
        self.substitutes_ended += [
            SubstituteKey(each.stream_id, each.number) for each in was if each.number not in numbers
        ]


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
    if before is None:
        untouched = not after.timers and not after.deadlines
    else:
        same_timers = not after.timers or before.timers is after.timers
        same_deadlines = before.deadlines is after.deadlines
        same_end = before.state.final == after.state.final
        untouched = same_timers and same_deadlines and same_end
    if untouched:
        return [], []
    was = {} if before is None else pending_rows(before)
    now = pending_rows(after)
    put = [row for key, row in now.items() if was.get(key) != row]
    return put, [TimerRow(after.id, key) for key, row in was.items() if now.get(key) != row]


_DEADLINE = "\x1f"


def deadline_key(ordinal: int) -> str:
    """Return the key of the row for the deadline of an approval.

    A workflow's timer can't have it, because no name may hold its first character.
    """
    return f"{_DEADLINE}{ordinal}"


def ordinal_of(key: str) -> int | None:
    """Return the ordinal of the approval that a row is for, None for a workflow's timer."""
    return int(key.removeprefix(_DEADLINE)) if key.startswith(_DEADLINE) else None


def pending_rows(execution: Execution) -> dict[str, TimerRow]:
    """Return the rows of an execution by their keys; none once it is over."""
    rows = [
        TimerRow(execution.id, timer.key, timer.fires_at, timer.set_version)
        for timer in execution.pending_timers()
    ]
    if not execution.state.final:
        for ordinal, due_at in execution.deadlines.items():
            version = execution.approvals[ordinal].deadline_version
            rows.append(TimerRow(execution.id, deadline_key(ordinal), due_at, version))
    return {row.key: row for row in rows}


def hold_of(execution: Execution) -> HoldRow:
    """Return the row of an execution that is not final."""
    woken_version = execution.woken_version if execution.parked is None else 0
    return HoldRow(
        execution.id,
        execution.queue,
        execution.workable,
        woken_version,
        execution.workflow,
        execution.workflow_version,
        execution.cancel_requested_at,
    )
