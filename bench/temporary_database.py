"""Temporary databases."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Create a database on a server, given the URL of another one, and drop it afterwards."""
    named = Identifier(f"bench_{name}")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(named))
    try:
        yield make_conninfo(server, dbname=f"bench_{name}")
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(named))
