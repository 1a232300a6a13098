"""Builds a read model again while the old one is in use, and then replaces the old one.

The new tables are in a separate schema under the same names, so the same statements fill them. At
the end one transaction moves them into the schema in use.
"""

import time
from collections.abc import Callable
from typing import Any, LiteralString
from uuid import UUID

import msgspec
import psycopg
from psycopg import Connection, Cursor
from psycopg.sql import SQL, Composable, Identifier, Literal

from projections.runtime.connections import connect, try_lock
from projections.runtime.event_feed import EventFeed
from projections.runtime.failures import Failure, replace_all
from projections.runtime.read_model import ReadModel
from projections.runtime.schema import create

BATCH = 5_000

# Shorter than deadlock_timeout, so that a swap that waits for readers is cancelled, not a reader.
_SWAP_LOCK = "500ms"
_SWAP_ATTEMPTS = 120
_SWAP_PAUSE = 0.25

# The new tables are to be used by whoever may use the old ones.
_GRANTS: LiteralString = """
    SELECT format('GRANT %s ON %I.%I TO %s', privilege_type, nspname, relname,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    CROSS JOIN LATERAL aclexplode(relacl)
    WHERE nspname = {schema} AND relname = ANY ({tables}) AND grantee <> relowner
"""


class BusyError(Exception):
    """Another process is rebuilding this read model."""


class Rebuilt(msgspec.Struct, frozen=True):
    """The result of a rebuild. The new tables reflect the log up to ``position``.

    ``unreadable`` counts the executions with an event that can't be read. Their rows are as they
    were before it.
    """

    name: str
    events: int
    seconds: float
    position: int
    unreadable: int

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds if self.seconds else 0.0


Report = Callable[[int, int], None]


def rebuild(
    conninfo: str,
    model: ReadModel,
    *,
    report: Report | None = None,
    batch: int = BATCH,
) -> Rebuilt:
    """Rebuild a read model while it is read and projected. It can be interrupted and run again.

    ``report`` is called after each batch with the number of events so far and the position. Raises
    BusyError if another process rebuilds it, and psycopg.Error. The tables in use are then
    unchanged.
    """
    with connect(conninfo, application_name="placet-rebuild") as connection:
        create(connection, [model])
        if not try_lock(connection, f"rebuild/{model.name}"):
            msg = f"{model.name} is being rebuilt by another process"
            raise BusyError(msg)
        return _Rebuild(connection, model, batch, report or _silent).run()


class _Rebuild:
    def __init__(
        self,
        connection: Connection[Any],
        model: ReadModel,
        batch: int,
        report: Report,
    ) -> None:
        self._connection = connection
        self._model = model
        self._batch = batch
        self._report = report
        [(live,)] = connection.execute("SELECT current_schema()").fetchall()
        self._live_name = live
        self._live = Identifier(live)
        self._shadow = Identifier(f"{live}_rebuild_{model.name}")
        self._failures: dict[UUID, Failure] = {}
        self._feed = self._new_feed(0)
        self._events = 0

    def run(self) -> Rebuilt:
        began = time.monotonic()
        self._execute("DROP SCHEMA IF EXISTS {shadow} CASCADE")
        self._execute("CREATE SCHEMA {shadow}")
        try:
            # New tables are created in the first schema, the log is found in the second.
            self._execute("SET search_path = {shadow}, {live}")
            self._execute(
                "CREATE TABLE {shadow}.projection_positions"
                " (LIKE {live}.projection_positions INCLUDING ALL)"
            )
            self._model.create_tables(self._connection)
            self._catch_up()
            self._model.create_indexes(self._connection)
            for table in self._model.tables:
                self._execute("ANALYZE {shadow}.{table}", table=Identifier(table))
            self._catch_up()
            self._swap_when_possible()
        finally:
            if not self._connection.broken:
                self._execute("DROP SCHEMA IF EXISTS {shadow} CASCADE")
                # PostgreSQL notices a closed connection a little late, and until then the lock
                # would refuse the next rebuild.
                self._execute("SELECT pg_advisory_unlock_all()")
        seconds = time.monotonic() - began
        return Rebuilt(
            self._model.name, self._events, seconds, self._feed.position, len(self._failures)
        )

    def _catch_up(self, upto: int | None = None) -> None:
        while rows := self._feed.read(self._connection, limit=self._batch, upto=upto):
            folded = self._feed.fold(self._connection, rows)
            written = self._model.write(
                self._connection, folded.changes, self._feed.position, folded.position
            )
            if not written:
                msg = f"another process writes to the new tables of {self._model.name}"
                raise BusyError(msg)
            self._feed.accept(folded)
            self._failures |= {each.execution_id: each for each in folded.failures}
            self._events += len(rows)
            self._report(self._events, folded.position)

    def _swap_when_possible(self) -> None:
        for attempt in range(_SWAP_ATTEMPTS):
            before = self._feed.position
            try:
                with self._connection.transaction():
                    self._swap()
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                # What was projected in the transaction was rolled back.
                self._feed = self._new_feed(before)
                if attempt + 1 == _SWAP_ATTEMPTS:
                    raise
                time.sleep(_SWAP_PAUSE)
                self._catch_up()
            else:
                return

    def _swap(self) -> None:
        self._execute("SET LOCAL lock_timeout = {limit}", limit=Literal(_SWAP_LOCK))
        # Lock the tables before the row, because a projector does so too. Reads go on. Writes wait
        # for this lock before they take any other. A table that this version adds does not exist
        # yet.
        present = [table for table in self._model.tables if self._is_live(table)]
        if present:
            self._execute(
                "LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE",
                tables=SQL(", ").join(
                    SQL("{}.{}").format(self._live, Identifier(table)) for table in present
                ),
            )
        # A projector waits for this row, so from here on the tables in use do not change.
        positions = self._execute(
            "SELECT position FROM {live}.projection_positions WHERE name = {name} FOR UPDATE"
        ).fetchall()
        self._catch_up(upto=positions[0][0])
        cursor = self._execute(_GRANTS, schema=Literal(self._live_name), tables=Literal(present))
        grants = [grant for (grant,) in cursor]
        for table in self._model.tables:
            self._execute("DROP TABLE IF EXISTS {live}.{table}", table=Identifier(table))
        for table in self._model.tables:
            self._execute("ALTER TABLE {shadow}.{table} SET SCHEMA {live}", table=Identifier(table))
        for grant in grants:
            self._connection.execute(grant.encode())
        self._execute(
            "UPDATE {live}.projection_positions AS live"
            " SET position = shadow.position, version = shadow.version"
            " FROM {shadow}.projection_positions AS shadow"
            " WHERE live.name = {name} AND shadow.name = live.name"
        )
        replace_all(self._connection, self._model.name, self._failures.values())

    def _is_live(self, table: str) -> bool:
        qualified = SQL("{}.{}").format(self._live, Identifier(table)).as_string()
        return self._connection.execute("SELECT to_regclass(%s)", [qualified]).fetchone() != (None,)

    def _execute(self, statement: LiteralString, **names: Composable) -> Cursor[Any]:
        """Execute a statement, with the schemas and the name of the read model inserted."""
        composed = SQL(statement).format(
            live=self._live, shadow=self._shadow, name=Literal(self._model.name), **names
        )
        return self._connection.execute(composed)

    def _new_feed(self, position: int) -> EventFeed:
        failed = {each.execution_id: each.position for each in self._failures.values()}
        return EventFeed([self._model], position, failed=failed)


def _silent(_events: int, _position: int) -> None:
    pass
