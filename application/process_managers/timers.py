"""The clock: lets timers fire when the database's time has come to them, never before.

One process does it for all. A timer fires by an ordinary command, so that the event, the row that
is due no more and the wake-up of the worker are one commit.
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
from application.metrics import TIMER_SECONDS
from application.process_managers.leader_election import LeaderElection
from application.subscriptions.event_tail import EventTail
from domain.authorization import SERVICE
from domain.execution.commands import FireTimer
from domain.execution.events import TimerSet
from domain.refusals import RefusalCode

_log = structlog.get_logger(__name__)

LONGEST = 1.0
PAUSE = 0.1
LIMIT = 256
SPARE_DAMAGED = 60.0

_DUE = """
    SELECT execution_id, key, fires_at, set_version,
        extract(epoch FROM clock_timestamp() - fires_at)::float8
    FROM execution_timers
    WHERE fires_at <= clock_timestamp() AND execution_id <> ALL (%s::uuid[])
    ORDER BY fires_at LIMIT %s
"""
_NEXT = """
    SELECT extract(epoch FROM min(fires_at) - clock_timestamp())::float8 FROM execution_timers
    WHERE execution_id <> ALL (%s::uuid[])
"""
_DELETE = """
    DELETE FROM execution_timers WHERE (execution_id, key, fires_at) = (%s, %s, %s)
        AND set_version IS NOT DISTINCT FROM %s
"""


class _Due(NamedTuple):
    """A timer that is due, ``late`` by so many seconds."""

    execution_id: UUID
    key: str
    fires_at: datetime
    set_version: int | None
    late: float


class TimerProcessManager:
    """One for a process. That of the leader acts."""

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
        self._sooner = asyncio.Event()
        self._spared: dict[UUID, float] = {}

    async def start(self) -> None:
        """Begin to look for timers that are due."""
        self._tasks = [
            asyncio.create_task(self._run(), name="placet-clock"),
            asyncio.create_task(self._hear(), name="placet-clock-hear"),
        ]

    async def close(self) -> None:
        """Stop."""
        await stop(self._tasks)

    async def _hear(self) -> None:
        """Look anew when a timer was set: it may be due before the one that is waited for."""
        position = self._tail.position
        while True:
            try:
                async for batch in self._tail.follow(position):
                    position = batch.position
                    if any(isinstance(each.recorded.event, TimerSet) for each in batch.events):
                        self._sooner.set()
            except Exception:  # noqa: BLE001 - logged; without it a timer is a moment late at most
                _log.exception("clock_does_not_hear")
                position = self._tail.position
                await asyncio.sleep(LONGEST)

    async def _run(self) -> None:
        while True:
            await self._election.elected()
            pause = LONGEST
            try:
                pause = await self._tick()
            except (psycopg.Error, PoolTimeout) as error:
                _log.debug("clock_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("clock_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._sooner.wait()
            self._sooner.clear()

    async def _tick(self) -> float:
        """Let fire what is due. Gives the seconds after which to look again."""
        now = monotonic()
        self._spared = {id_: until for id_, until in self._spared.items() if until > now}
        spared = list(self._spared)
        async with self._pool.connection() as connection:
            found = await (await connection.execute(_DUE, (spared, LIMIT), prepare=True)).fetchall()
            due = [_Due(*row) for row in found]
            if not due:
                row = await (await connection.execute(_NEXT, (spared,), prepare=True)).fetchone()
                seconds = None if row is None else row[0]
                return LONGEST if seconds is None else min(max(seconds, 0.0), LONGEST)
        outcomes = await self._writer.handle(
            [
                Request(
                    command=FireTimer(
                        by=SERVICE,
                        execution_id=timer.execution_id,
                        key=timer.key,
                        set_version=timer.set_version,
                    ),
                    command_id=uuid4(),
                )
                for timer in due
            ]
        )
        fine = [
            await self._settle(timer, outcome) for timer, outcome in zip(due, outcomes, strict=True)
        ]
        return 0.0 if all(fine) else PAUSE

    async def _settle(self, timer: _Due, outcome: Outcome) -> bool:
        """Take note of what became of a timer; False if it should be tried again a little later."""
        match outcome:
            case Accepted(repeated=False):
                TIMER_SECONDS.observe(timer.late)
                return True
            case Refused(code=RefusalCode.OVERLOADED | RefusalCode.OUTCOME_UNKNOWN):
                return False
            case Accepted() | Refused():
                # It fired or was cancelled after the row was read, or its execution ended. As a
                # rule its row went with that. One that did not would be due for ever.
                async with self._pool.connection() as connection:
                    await connection.execute(_DELETE, timer[:4])
                return True
            case UnavailableError():
                return False
            case _:
                id_ = str(timer.execution_id)
                _log.error("timer_can_not_fire", execution_id=id_, error=str(outcome))
                self._spared[timer.execution_id] = monotonic() + SPARE_DAMAGED
                return True
