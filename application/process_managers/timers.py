"""The process manager of timers and deadlines: acts on what is due by the database's time.

It is never early. It sends the command FireTimer for each timer, and ActOnDeadline for each
approval whose deadline or reminder is due, so that the event, the change of the row and the wake-up
of the worker are one commit. Only the leader does this.
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from application.background_tasks import stop
from application.command_handling.outcomes import Accepted, Outcome, Refused, UnavailableError
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.event_store.clock_guard import ClockGuard
from application.event_store.side_tables import ordinal_of
from application.metrics import TIMER_SECONDS
from application.process_managers.leader_election import LeaderElection
from application.subscriptions.event_tail import EventTail
from domain.approvals.commands import (
    ActOnDeadline,
)
from domain.approvals.events import (
    ApprovalEscalated,
    ApprovalRequested,
)
from domain.authorization import SERVICE
from domain.execution.commands import (
    Command,
    FireTimer,
)
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    TimerSet,
)
from domain.refusals import RefusalCode

_log = structlog.get_logger(__name__)

MAX_PAUSE = 1.0
PAUSE = 0.1
LIMIT = 256
SKIP_SECONDS = 60.0

_CLOCK = "SELECT clock_timestamp()"
_DUE = """
    SELECT execution_id, key, fires_at, set_version,
        extract(epoch FROM %(now)s::timestamptz - fires_at)::float8
    FROM execution_timers
    WHERE fires_at <= %(now)s AND execution_id <> ALL (%(skipped)s::uuid[])
    ORDER BY fires_at LIMIT %(limit)s
"""
_NEXT = """
    SELECT extract(epoch FROM min(fires_at) - %(now)s::timestamptz)::float8 FROM execution_timers
    WHERE execution_id <> ALL (%(skipped)s::uuid[])
"""
_DELETE = """
    DELETE FROM execution_timers WHERE (execution_id, key, fires_at) = (%s, %s, %s)
        AND set_version IS NOT DISTINCT FROM %s
"""


class _Due(NamedTuple):
    """A timer that is due, and how many seconds it is late."""

    execution_id: UUID
    key: str
    fires_at: datetime
    set_version: int | None
    late: float


def _command_for(timer: _Due) -> Command:
    ordinal = ordinal_of(timer.key)
    if ordinal is None:
        return FireTimer(
            by=SERVICE,
            execution_id=timer.execution_id,
            key=timer.key,
            set_version=timer.set_version,
        )
    return ActOnDeadline(
        by=SERVICE,
        execution_id=timer.execution_id,
        ordinal=ordinal,
        deadline_version=timer.set_version or 0,
    )


def _sets_a_time(event: Event) -> bool:
    """Whether something may be due earlier than before, because of this event."""
    if isinstance(event, ApprovalRequested):
        return event.deadline is not None
    return isinstance(event, TimerSet | ApprovalEscalated)


class TimerProcessManager:
    """Fires timers while this process is the leader."""

    def __init__(
        self,
        pool: AsyncConnectionPool,
        writer: Writer,
        tail: EventTail,
        election: LeaderElection,
    ) -> None:
        self._pool = pool
        self._writer = writer
        self._tail = tail
        self._election = election
        self._tasks: list[asyncio.Task[None]] = []
        self._timer_set = asyncio.Event()
        self._skipped: dict[UUID, float] = {}
        self._guard = ClockGuard()

    async def start(self) -> None:
        """Start to look for timers that are due."""
        self._tasks = [
            asyncio.create_task(self._run(), name="placet-timers"),
            asyncio.create_task(self._watch_timers(), name="placet-timers-watch"),
        ]

    async def close(self) -> None:
        """Stop."""
        await stop(self._tasks)

    async def _watch_timers(self) -> None:
        """End the pause when a timer is set, because it may be due before the other ones."""
        position = self._tail.position
        while True:
            try:
                async for page in self._tail.follow(position):
                    position = page.position
                    if any(_sets_a_time(each.recorded.event) for each in page.events):
                        self._timer_set.set()
            except Exception:  # noqa: BLE001 - logged; timers are at most MAX_PAUSE late
                _log.exception("timers_watch_failed")
                position = self._tail.position
                await asyncio.sleep(MAX_PAUSE)

    async def _run(self) -> None:
        while True:
            if not self._election.leads:
                await self._election.elected()
                self._guard.forget()
            pause = MAX_PAUSE
            try:
                pause = await self._fire_due()
            except (psycopg.Error, PoolTimeout) as error:
                _log.debug("timers_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("timers_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._timer_set.wait()
            self._timer_set.clear()

    async def _fire_due(self) -> float:
        """Fire the timers that are due. Returns the seconds until the next look."""
        now = monotonic()
        self._skipped = {id_: until for id_, until in self._skipped.items() if until > now}
        skipped = list(self._skipped)
        async with self._pool.connection() as connection:
            clock = await (await connection.execute(_CLOCK, prepare=True)).fetchone()
            assert clock is not None
            params = {"now": self._guard.time(clock[0]), "skipped": skipped, "limit": LIMIT}
            found = await (await connection.execute(_DUE, params, prepare=True)).fetchall()
            due = [_Due(*row) for row in found]
            if not due:
                row = await (await connection.execute(_NEXT, params, prepare=True)).fetchone()
                seconds = None if row is None else row[0]
                return MAX_PAUSE if seconds is None else min(max(seconds, 0.0), MAX_PAUSE)
        outcomes = await self._writer.handle(
            [Request(command=_command_for(timer), command_id=uuid4()) for timer in due]
        )
        done = [
            await self._handle_outcome(timer, outcome)
            for timer, outcome in zip(due, outcomes, strict=True)
        ]
        return 0.0 if all(done) else PAUSE

    async def _handle_outcome(self, timer: _Due, outcome: Outcome) -> bool:
        """Handle the outcome of firing a timer. False if it should be tried again soon."""
        match outcome:
            case Accepted(repeated=False):
                TIMER_SECONDS.observe(timer.late)
                return True
            case Refused(code=RefusalCode.OVERLOADED | RefusalCode.OUTCOME_UNKNOWN):
                return False
            case Accepted() | Refused():
                # The timer fired or was cancelled after the row was read, or its execution ended.
                # That usually deletes the row. A row that is left would be due for ever.
                async with self._pool.connection() as connection:
                    await connection.execute(_DELETE, timer[:4])
                return True
            case UnavailableError():
                return False
            case _:
                id_ = str(timer.execution_id)
                _log.error("timer_not_fired", execution_id=id_, error=str(outcome))
                self._skipped[timer.execution_id] = monotonic() + SKIP_SECONDS
                return True
