"""What every command does with the database, whether it serves the API or not."""

from select import POLLIN, poll
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.settings import Settings
from application.event_store.recorder import CONNECTION_DEFAULTS
from application.event_store.schema import create_tables
from projections.registry import MODELS
from projections.runtime.schema import migrate as migrate_read_models

READ_SECONDS = 15
LOCK_SECONDS = 5


def migrate(database_url: str) -> tuple[str, ...]:
    """Create all tables that are missing; safe at any time, and by several processes at once.

    Gives the names of the read models that have to be rebuilt, because their tables are those of
    another version.
    """
    create_tables(database_url)
    return migrate_read_models(database_url, MODELS.values())


def reading_pool(database_url: str, settings: Settings) -> AsyncConnectionPool:
    """Make the pool for all reads. It notices dead connections before it hands them out."""
    return AsyncConnectionPool(
        database_url,
        min_size=settings.pool_min,
        max_size=settings.pool_max,
        kwargs={**CONNECTION_DEFAULTS, "autocommit": True},
        configure=_configure,
        check=_check,
        timeout=5.0,
        # Whoever asks after this begins a new attempt at once, without a growing pause.
        reconnect_timeout=1.0,
        open=False,
    )


async def _check(connection: AsyncConnection[Any]) -> None:
    """Raise OperationalError if the connection has broken off.

    A server that ended it has said so, which waits to be read; to ask each time whether it still
    answers would double the way to the database for every read.
    """
    said = poll()
    said.register(connection.fileno(), POLLIN)
    if said.poll(0):
        await AsyncConnectionPool.check_connection(connection)


async def _configure(connection: AsyncConnection[Any]) -> None:
    # A page reads a few rows; starting parallel workers for it takes longer than reading them.
    await connection.execute("SET max_parallel_workers_per_gather = 0")
    # One question must not keep a connection from all others; nor a lock those who wait for it.
    await connection.execute(f"SET statement_timeout = '{READ_SECONDS}s'")
    await connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
