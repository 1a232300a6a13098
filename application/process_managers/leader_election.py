"""Leader election: of all server processes on one database, one is the leader.

The leader is the process whose session holds an advisory lock of PostgreSQL. If the process dies,
PostgreSQL ends its session and frees the lock. If the process is suspended or unreachable,
PostgreSQL ends the session after ``IDLE_SECONDS`` without a query. No wall clock is involved.
"""

import asyncio

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from application.background_tasks import stop
from application.event_store.recorder import CONNECTION_DEFAULTS
from application.event_store.timed_connection import TimedConnection

_log = structlog.get_logger(__name__)

IDLE_SECONDS = 3.0
CHECK_EVERY = 0.5
ANSWER_TIMEOUT = 2.0

_TRY = "SELECT pg_try_advisory_lock(hashtextextended(current_schema() || '/placet/leader', 0))"
_ALIVE = "SELECT true"


class LeaderElection:
    """Whether this process is the leader. There is one election in each process.

    A process that was suspended may act as the leader once more before it notices that it is not.
    So whatever the leader does must be idempotent. ``term`` counts how often it became the leader:
    who looks at ``leads`` now and then can miss that it was not for a moment.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = make_conninfo(conninfo, **CONNECTION_DEFAULTS)
        self._elected = asyncio.Event()
        self.term = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def leads(self) -> bool:
        """Whether this process is the leader. Any thread may ask."""
        return self._elected.is_set()

    async def elected(self) -> None:
        """Wait until this process is the leader."""
        await self._elected.wait()

    async def start(self) -> None:
        """Start to compete for leadership."""
        self._tasks = [asyncio.create_task(self._run(), name="placet-leader-election")]

    async def close(self) -> None:
        """Stop, and free the lock. Another process can become the leader at once."""
        await stop(self._tasks)

    async def _run(self) -> None:
        while True:
            try:
                async with await TimedConnection.connect(
                    self._conninfo, autocommit=True, application_name="placet-leader"
                ) as connection:
                    connection.answer_within = ANSWER_TIMEOUT
                    await connection.execute(f"SET idle_session_timeout = '{IDLE_SECONDS}s'")
                    await self._lead(connection)
            except psycopg.Error as error:
                if self.leads:
                    _log.warning("leadership_lost", error=str(error))
            finally:
                self._elected.clear()
            await asyncio.sleep(CHECK_EVERY)

    async def _lead(self, connection: AsyncConnection) -> None:
        """Try to become the leader, then keep the session alive with regular queries."""
        while True:
            [row] = await (await connection.execute(_ALIVE if self.leads else _TRY)).fetchall()
            if row[0] and not self.leads:
                _log.info("leadership_won")
                self.term += 1
                self._elected.set()
            # No notifications are expected. But this raises at once when the session ends.
            async for _ in connection.notifies(timeout=CHECK_EVERY):
                pass
