"""Databases with all tables and nothing in them, which one test after another uses.

Emptying a database takes a tenth of the time that creating one takes. Tables, files, sequences and
connections are then as in a new database. If a test has changed the schema, or PostgreSQL has
gathered statistics, the database is dropped.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier, Placeholder

from api.migration import migrate
from tests.support.postgres import Postgres

SECONDS_TO_END = 10

# What was made after initdb has an id from 16384 on. A truncated table has a new file and keeps its
# id; whatever else is done to it shows in these rows, or in who wrote them.
_SHAPE = """
    WITH made AS (
        SELECT 'class', oid, (relname, relnamespace, relkind, reloptions)::text FROM pg_class
        UNION ALL SELECT 'column', attrelid, (attnum, xmin)::text FROM pg_attribute
        UNION ALL SELECT 'default', oid, xmin::text FROM pg_attrdef
        UNION ALL SELECT 'constraint', oid, xmin::text FROM pg_constraint
        UNION ALL SELECT 'index', indexrelid, (indisvalid, indisready)::text FROM pg_index
        UNION ALL SELECT 'trigger', oid, xmin::text FROM pg_trigger
        UNION ALL SELECT 'rule', oid, xmin::text FROM pg_rewrite
        UNION ALL SELECT 'function', oid, prosrc FROM pg_proc
        UNION ALL SELECT 'schema', oid, xmin::text FROM pg_namespace
        UNION ALL SELECT 'extension', oid, xmin::text FROM pg_extension
        UNION ALL SELECT 'statistics', starelid, staattnum::text FROM pg_statistic
    )
    SELECT * FROM made AS made (kind, id, what) WHERE id >= 16384
    UNION ALL SELECT 'setting', setrole, setconfig::text FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY 1, 2, 3
"""
_TABLES = """
    SELECT relname, pg_relation_size(oid) > 0 FROM pg_class WHERE oid >= 16384 AND relkind = 'r'
"""
_RESTART = """
    SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences
"""
# Those of autovacuum are not in the way: they end when somebody wants their table.
_SESSIONS = """
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'
"""
_END_OTHERS = f"SELECT pg_terminate_backend(pid, %s) {_SESSIONS}"
_OTHERS = f"SELECT pid {_SESSIONS}"

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class _Database:
    url: str
    shape: list[tuple[Any, ...]]
    rows: Rows


class Prepared:
    """The prepared databases of one server."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._free: list[_Database] = []

    @contextmanager
    def database(self) -> Iterator[str]:
        """Lend a database. Sessions that are still connected afterwards are terminated."""
        database = self._free.pop() if self._free else self._make()
        yield database.url
        if _emptied(database):
            self._free.append(database)
        else:
            self._server.drop(database.url)

    def _make(self) -> _Database:
        url = self._server.create()
        assert migrate(url) == ()
        with psycopg.connect(url) as connection:
            rows = {name: _rows(connection, name) for name in _written(connection)}
            return _Database(url, connection.execute(_SHAPE).fetchall(), rows)


def _written(connection: Connection[Any]) -> list[str]:
    """Return the tables whose files are not empty."""
    return [name for name, written in connection.execute(_TABLES) if written]


def _rows(connection: Connection[Any], table: str) -> list[tuple[Any, ...]]:
    return connection.execute(SQL("SELECT * FROM {}").format(Identifier(table))).fetchall()


def _emptied(database: _Database) -> bool:
    """Make a database as it was. False if that can't be done."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        # One that has just ended by itself is reported as not terminated, and is gone all the same.
        connection.execute(_END_OTHERS, (SECONDS_TO_END * 1000,))
        if connection.execute(_OTHERS).fetchall():
            return False
        if connection.execute(_SHAPE).fetchall() != database.shape:
            return False
        with connection.transaction():
            if written := _written(connection):
                tables = SQL(", ").join(map(Identifier, written))
                connection.execute(SQL("TRUNCATE {}").format(tables))
            connection.execute(_RESTART)
            for table, rows in database.rows.items():
                values = SQL(", ").join([Placeholder()] * len(rows[0]))
                connection.cursor().executemany(
                    SQL("INSERT INTO {} VALUES ({})").format(Identifier(table), values), rows
                )
    return True
