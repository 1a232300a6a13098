"""Who appends to the log beside this process, and whether anybody else wants to hear of it.

A notification costs a commit more than its events do: it wakes another backend, which wakes every
process that listens. So a writer leaves it out while nobody but its own process listens. Who
listens holds a shared lock for as long, and says once that it is there.
"""

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
LOOK_AGAIN = 10.0
"""After so many seconds it is looked whether those who listened are gone."""

# Any number that nothing else in this database locks.
_LOCK = 0x706C6C73
_OTHERS = """
    SELECT count(*) > 1 FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class NotificationListener:
    """``on_commit`` is called when another process may have appended something.

    ``others``: whether another process listens, or may; True while that is not known.
    """

    def __init__(self, conninfo: str, on_commit: Callable[[], None]) -> None:
        self.others = True
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
                _log.warning("listen_lost", error=str(error))
            finally:
                self.others = True
            await asyncio.sleep(RECONNECT_AFTER)

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute("SELECT pg_advisory_lock_shared(%s)", [_LOCK])
        await connection.execute(f"LISTEN {CHANNEL}")
        await connection.execute(f"NOTIFY {CHANNEL}")
        # What was committed before all that notified nobody.
        self._on_commit()
        ours = connection.info.backend_pid
        while True:
            # Who comes later than this look is heard of.
            [found] = await (await connection.execute(_OTHERS, [_LOCK])).fetchall()
            self.others = found[0]
            async for notification in connection.notifies(timeout=LOOK_AGAIN):
                if notification.pid not in {ours, self.writer_pid}:
                    self.others = True
                    self._on_commit()
