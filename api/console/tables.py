"""The tables of the edge: of the console, of browsers that are told, and the ids of subjects."""

from importlib.resources import files
from typing import LiteralString

import psycopg
from psycopg.sql import SQL

_FILES = (
    ("api.console", "sessions.sql"),
    ("api.console", "saved_views.sql"),
    ("api.channels.web_push", "subscriptions.sql"),
    ("api.identity", "subjects.sql"),
    ("api.identity", "logins.sql"),
)
# Any number that no other advisory lock of this database has.
_MIGRATION_LOCK = 0x706C6164


def definition() -> LiteralString:
    """Return the statements that create the tables."""
    return "\n".join(
        files(package).joinpath(name).read_text(encoding="utf-8") for package, name in _FILES
    )


def create_tables(conninfo: str) -> None:
    """Create what is missing. It is safe to run again, and from two processes at once."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        connection.execute("SET client_min_messages = warning")
        connection.execute(SQL(definition()))
