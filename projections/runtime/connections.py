"""Connections for writing read models."""

from typing import Any

from psycopg import Connection


def connect(conninfo: str, *, application_name: str) -> Connection[Any]:
    """Open a connection for one thread. Raises psycopg.OperationalError if that fails.

    Commits do not wait for the disk. If a crash of the database loses some, it loses the rows and
    the position together, and the events are projected again. A server that no longer answers is
    noticed within some ten seconds.
    """
    connection: Connection[Any] = Connection.connect(
        conninfo,
        autocommit=True,
        application_name=application_name,
        connect_timeout=5,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
    )
    connection.execute("SET synchronous_commit = off")
    return connection


def try_lock(connection: Connection[Any], purpose: str) -> bool:
    """Take a session's advisory lock for a purpose in the current schema, if it is free."""
    cursor = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(current_schema() || %s, 0))",
        ["/placet/" + purpose],
    )
    return cursor.fetchone() == (True,)
