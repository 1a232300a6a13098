"""Creates the log's tables and the side tables."""

from importlib.resources import files

import psycopg
from psycopg.sql import SQL

from application.event_store.recorder import APPEND
from application.event_store.store import ExecutionEventStore

# Any number that no other advisory lock of this database has.
_MIGRATION_LOCK = 0x706C6163
# Seconds. Nothing waits for these tables yet, so a busy machine may pause between two statements.
_IDLE_IN_TRANSACTION = 60


def create_tables(conninfo: str) -> None:
    """Create what is missing. It is safe to run again, and from two processes at once."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_MIGRATION_LOCK,))
        connection.execute("SET client_min_messages = warning")
        ExecutionEventStore(
            conninfo, idle_in_transaction_timeout=_IDLE_IN_TRANSACTION, create_table=True
        ).close()
        connection.execute(SQL(_statements()))


def definition() -> str:
    """Return all statements that create the tables, which identify this version of them.

    Those of the eventsourcing library are left out: it adds columns by itself.
    """
    return f"{_statements()}\n{APPEND.as_string()}"


def _statements() -> str:
    return files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
