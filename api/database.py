"""Connections to read from the database, for all commands of ``placet-server``."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from select import POLLIN, poll
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.settings import Settings
from application.event_store.reading import ReadLimits, SharedPool
from application.event_store.recorder import CONNECTION_DEFAULTS
from application.event_store.timed_connection import TimedConnection

READ_SECONDS = 15
LOCK_SECONDS = 5
CHECK_SECONDS = 2.0
# SQLSTATE, appendix A of PostgreSQL's manual: connection exceptions, and shutdown, crash, start.
_LOST = ("08", "57P01", "57P02", "57P03")


def reading_pool(database_url: str, settings: Settings) -> SharedPool:
    """Make the pool of connections for queries and subscriptions of clients."""
    return SharedPool(
        limits=ReadLimits(followers=settings.max_followers),
        **_options(database_url, settings.pool_min, settings.pool_max),
    )


def working_pool(database_url: str, settings: Settings) -> AsyncConnectionPool:
    """Make the pool of connections for what workers and deciders need, and the server itself."""
    least = min(2, settings.worker_pool_max)
    return AsyncConnectionPool(**_options(database_url, least, settings.worker_pool_max))


def outbox_pool(database_url: str) -> AsyncConnectionPool:
    """Make the pool of connections for messages and their delivery."""
    return AsyncConnectionPool(**_options(database_url, 1, 3))


def _options(database_url: str, least: int, most: int) -> dict[str, Any]:
    """Return the options of a pool that replaces dead connections before use."""
    return {
        "conninfo": database_url,
        "min_size": least,
        "max_size": most,
        "connection_class": TimedConnection,
        "kwargs": {**CONNECTION_DEFAULTS, "autocommit": True},
        "configure": _configure,
        "check": _check,
        "timeout": 5.0,
        # After this many seconds the next request tries again at once, without a growing pause.
        "reconnect_timeout": 1.0,
        "open": False,
    }


def retry_after(*pools: AsyncConnectionPool) -> Callable[[BaseException], Awaitable[bool]]:
    """Return a function that says whether a read that failed should be tried once more.

    It should if the connection was lost. All connections of the pools are checked before: if the
    database was restarted, the others are lost too, which not each of them has noticed yet.
    """

    async def retry(error: BaseException) -> bool:
        if not lost(error):
            return False
        with suppress(TimeoutError, psycopg.Error):
            async with asyncio.timeout(CHECK_SECONDS):
                for pool in pools:
                    await pool.check()
        return True

    return retry


def lost(error: BaseException) -> bool:
    """Whether an error says that the connection to the database is lost."""
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    if isinstance(error, PoolTimeout):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(_LOST)


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
