"""Listens to the notifications that each commit of any process sends."""

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from application.event_store.recorder import CONNECTION_DEFAULTS
from application.event_store.timed_connection import TimedConnection

_log = structlog.get_logger(__name__)

CHANNEL = "execution_events"
RECONNECT_AFTER = 0.5
LOOK_EVERY = 10.0
"""Seconds between two looks whether the database still answers."""


class NotificationListener:
    """Calls ``on_commit`` when another process may have appended events.

    ``writer_pid`` is the PostgreSQL backend of this process's writer. Its notifications are
    ignored, because its commits are known already.
    """

    def __init__(self, conninfo: str, on_commit: Callable[[], None]) -> None:
        self.writer_pid: int | None = None
        self._conninfo = make_conninfo(conninfo, **CONNECTION_DEFAULTS)
        self._on_commit = on_commit

    async def run(self) -> None:
        """Listen until cancelled. A lost connection is opened again."""
        while True:
            try:
                async with await TimedConnection.connect(
                    self._conninfo, autocommit=True
                ) as connection:
                    await self._listen(connection)
            except psycopg.Error as error:
                _log.debug("listen_lost", error=str(error))
            await asyncio.sleep(RECONNECT_AFTER)

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        # There was no notification of commits from before LISTEN.
        self._on_commit()
        while True:
            async for notification in connection.notifies(timeout=LOOK_EVERY):
                if notification.pid != self.writer_pid:
                    self._on_commit()
            # A connection that fell silent would be listened to for ever.
            await connection.execute("SELECT 1")
