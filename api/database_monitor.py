"""Watches the database for ``/readyz``, and logs once when it is lost and once when it is back."""

import asyncio
from time import monotonic

import psycopg
import structlog
from psycopg import AsyncConnection

from application.background_tasks import stop
from application.event_store.recorder import CONNECTION_DEFAULTS

_log = structlog.get_logger(__name__)

ANSWER_WITHIN = 0.8
"""Seconds that the database has for its answer. A health check should not take longer than one."""
LOOK_EVERY = 1.0

NO_ANSWER = "the database does not answer"
READ_ONLY = "the database is read-only"

# Reads the log, so that missing tables or rights are noticed too.
_LOOK = """
    SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
        EXISTS (SELECT FROM execution_events)
"""


class DatabaseMonitor:
    """Asks the database every second, on a connection of its own.

    The other parts of the server reconnect by themselves and log that at the level debug, because
    each of them would say the same again and again.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: AsyncConnection[tuple[bool, bool]] | None = None
        self._asking: asyncio.Task[str | None] | None = None
        self._lost_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch."""
        self._tasks = [asyncio.create_task(self._watch(), name="placet-database-monitor")]

    async def close(self) -> None:
        """End it."""
        await stop(self._tasks)
        if self._asking is not None:
            await stop([self._asking])
        await self._drop()

    async def problem(self) -> str | None:
        """Return why the database can't be used, None if it can. Takes less than a second.

        The text is for everybody: it has nothing of the database's own errors, which the log has.
        """
        # Questions at the same time get the same answer.
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="placet-database-look")
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    def _asked(self, _: object) -> None:
        self._asking = None

    async def _watch(self) -> None:
        while True:
            try:
                await self.problem()
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("database_monitor_failed")
            await asyncio.sleep(LOOK_EVERY)

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                read_only = await self._look()
        except (psycopg.Error, TimeoutError) as error:
            await self._drop()
            self._lost(error)
            return NO_ANSWER
        self._back()
        return READ_ONLY if read_only else None

    async def _look(self) -> bool:
        if self._connection is None:
            self._connection = await AsyncConnection.connect(
                self._database_url,
                autocommit=True,
                application_name="placet-monitor",
                **CONNECTION_DEFAULTS,  # type: ignore[arg-type]
            )
        row = await (await self._connection.execute(_LOOK)).fetchone()
        assert row is not None
        return row[0]

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _lost(self, error: BaseException) -> None:
        if self._lost_at is None:
            self._lost_at = monotonic()
            reason = str(error) or f"no answer within {ANSWER_WITHIN:g} seconds"
            _log.warning("database_lost", error=reason)

    def _back(self) -> None:
        if self._lost_at is not None:
            seconds = round(monotonic() - self._lost_at, 1)
            self._lost_at = None
            _log.warning("database_back", seconds=seconds)
