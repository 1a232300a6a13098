"""Listens for commits of other processes. Each commit notifies those who listen."""

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from application.event_store.recorder import CONNECTION_DEFAULTS

_log = structlog.get_logger(__name__)

CHANNEL = "execution_events"
RECONNECT_AFTER = 0.5


class NotificationListener:
    """``on_commit`` is called when another process may have appended something.

    ``writer_pid`` names the connection of this process's writer, whose commits are known already.
    """

    def __init__(self, conninfo: str, on_commit: Callable[[], None]) -> None:
        self.writer_pid: int | None = None
        self._conninfo = make_conninfo(conninfo, **CONNECTION_DEFAULTS)
        self._on_commit = on_commit

    async def run(self) -> None:
        """Listen until it is cancelled; a connection that is lost is opened again."""
        while True:
            try:
                async with await AsyncConnection.connect(
                    self._conninfo, autocommit=True
                ) as connection:
                    await self._listen(connection)
            except psycopg.Error as error:
                _log.debug("listen_lost", error=str(error))
            await asyncio.sleep(RECONNECT_AFTER)

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        # Nothing was heard of what was committed before.
        self._on_commit()
        async for notification in connection.notifies():
            if notification.pid != self.writer_pid:
                self._on_commit()
