"""The process manager of cancellations: ends executions whose clean-up takes too long.

It sends the command EndCancellation for each. Only the leader does this.
"""

import asyncio
from datetime import timedelta
from time import monotonic
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from application.background_tasks import stop
from application.command_handling.outcomes import Accepted, Refused, UnavailableError
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.process_managers.leader_election import LeaderElection
from domain.authorization import SERVICE
from domain.execution.commands import EndCancellation

_log = structlog.get_logger(__name__)

CHECK_EVERY = 0.5
LIMIT = 256
SKIP_SECONDS = 60.0

_DUE = """
    SELECT execution_id FROM execution_holds
    WHERE cancel_requested_at <= clock_timestamp() - %s::interval
        AND execution_id <> ALL (%s::uuid[])
    ORDER BY cancel_requested_at LIMIT %s
"""


class CancellationProcessManager:
    """Ends clean-ups that take longer than ``limit``, by the database's time."""

    def __init__(
        self,
        pool: AsyncConnectionPool,
        writer: Writer,
        election: LeaderElection,
        limit: timedelta,
    ) -> None:
        self._pool = pool
        self._writer = writer
        self._election = election
        self._limit = limit
        self._tasks: list[asyncio.Task[None]] = []
        self._skipped: dict[UUID, float] = {}

    async def start(self) -> None:
        """Start to look for clean-ups that take too long."""
        self._tasks = [asyncio.create_task(self._run(), name="placet-cancellations")]

    async def close(self) -> None:
        """Stop."""
        await stop(self._tasks)

    async def _run(self) -> None:
        while True:
            await self._election.elected()
            try:
                await self._end_due()
            except (psycopg.Error, PoolTimeout) as error:
                _log.debug("cancellations_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("cancellations_failed")
            await asyncio.sleep(CHECK_EVERY)

    async def _end_due(self) -> None:
        now = monotonic()
        self._skipped = {id_: until for id_, until in self._skipped.items() if until > now}
        async with self._pool.connection() as connection:
            params = (self._limit, list(self._skipped), LIMIT)
            cursor = await connection.execute(_DUE, params, prepare=True)
            due: list[UUID] = [row[0] for row in await cursor.fetchall()]
        if not due:
            return
        why = f"its clean-up did not end within {self._limit.total_seconds():g} s"
        outcomes = await self._writer.handle(
            [
                Request(
                    command=EndCancellation(by=SERVICE, execution_id=id_, why=why),
                    command_id=uuid4(),
                )
                for id_ in due
            ]
        )
        for id_, outcome in zip(due, outcomes, strict=True):
            if isinstance(outcome, Accepted):
                if not outcome.repeated:
                    _log.warning("clean_up_took_too_long", execution_id=str(id_))
            elif not isinstance(outcome, Refused | UnavailableError):
                _log.error("cancellation_not_ended", execution_id=str(id_), error=str(outcome))
                self._skipped[id_] = monotonic() + SKIP_SECONDS
