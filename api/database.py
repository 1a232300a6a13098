"""The database, for all commands of ``placet-server``: creating tables, and connections to read."""

from select import POLLIN, poll
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.settings import Settings
from application.event_store.recorder import CONNECTION_DEFAULTS
from application.event_store.schema import create_tables
from application.event_store.timed_connection import TimedConnection
from projections.registry import MODELS
from projections.runtime.schema import migrate as migrate_read_models

READ_SECONDS = 15
LOCK_SECONDS = 5


def migrate(database_url: str) -> tuple[str, ...]:
    """Create all missing tables. It is safe at any time, and from several processes at once.

    Returns the names of the read models whose tables have another version. They must be rebuilt.
    """
    create_tables(database_url)
    return migrate_read_models(database_url, MODELS.values())


def reading_pool(database_url: str, settings: Settings) -> AsyncConnectionPool:
    """Make the pool of connections for all reads. It replaces dead connections before use."""
    return AsyncConnectionPool(
        database_url,
        min_size=settings.pool_min,
        max_size=settings.pool_max,
        connection_class=TimedConnection,
        kwargs={**CONNECTION_DEFAULTS, "autocommit": True},
        configure=_configure,
        check=_check,
        timeout=5.0,
        # After this many seconds the next request tries again at once, without a growing pause.
        reconnect_timeout=1.0,
        open=False,
    )


async def _check(connection: AsyncConnection[Any]) -> None:
    """Raise OperationalError if the connection is broken.

    If the server has closed the connection, there is something to read on its socket. Only then is
    a query sent: one for each check would double the round trips of every read.
    """
    readable = poll()
    readable.register(connection.fileno(), POLLIN)
    if readable.poll(0):
        await AsyncConnectionPool.check_connection(connection)


async def _configure(connection: AsyncConnection[Any]) -> None:
    # Pages have few rows. Starting parallel workers takes longer than reading them.
    await connection.execute("SET max_parallel_workers_per_gather = 0")
    # A slow query must not occupy a connection for long, nor a lock hold up those who wait for it.
    await connection.execute(f"SET statement_timeout = '{READ_SECONDS}s'")
    await connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
