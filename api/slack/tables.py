"""The table of the cards that were posted."""

from importlib.resources import files
from typing import LiteralString

import psycopg
from psycopg.sql import SQL

# Any number that no other advisory lock of this database has.
_MIGRATION_LOCK = 0x706C6165


def definition() -> LiteralString:
    """Return the statements that create the table."""
    return files(__package__).joinpath("cards.sql").read_text(encoding="utf-8")


def create_tables(conninfo: str) -> None:
    """Create what is missing. It is safe to run again, and from two processes at once."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        connection.execute("SET client_min_messages = warning")
        connection.execute(SQL(definition()))
