"""The event store's recorder on PostgreSQL, with a lock that does not conflict with VACUUM."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from inspect import unwrap
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.postgres import (
    PostgresAggregateRecorder,
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresFactory,
)
from eventsourcing.utils import Environment
from psycopg import AsyncConnection, AsyncCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row, scalar_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from application.event_store.chained_events import ChainedEvent, Head
from application.event_store.side_tables import SideTableRows
from application.event_store.timed_connection import TimedConnection

# So that a lost database is noticed soon. In seconds, tcp_user_timeout in milliseconds.
CONNECTION_DEFAULTS = {"connect_timeout": 5, "tcp_user_timeout": 10_000}

SILENT_AFTER = 5.0
"""Seconds to wait for an answer, beyond the longest wait for the lock."""

EVENTS_TABLE = "execution_events"
HAS_TRANSACTION_TIMEOUT = 170_000

# Each statement in a PL/pgSQL function sees what was committed before that statement began. So what
# is read after the lock stays true until the commit. There is one call with two parameters and one
# result, because each statement, array and column costs the driver more than the server. The bytes
# of the events are one value, because jsonb is slow with large ones and limited to 256 MB.
APPEND = SQL("""
    CREATE OR REPLACE FUNCTION {function}(batch jsonb, states bytea)
    RETURNS json LANGUAGE plpgsql AS $$
    DECLARE
        expected_at timestamptz := batch ->> 'at';
        at timestamptz;
        last bigint;
        positions bigint[] := '{{}}';
    BEGIN
        PERFORM * FROM ({lock}) AS lock;
        IF EXISTS (
            SELECT FROM jsonb_to_recordset(batch -> 'expected')
                AS expected (id uuid, version bigint, hash text)
            LEFT JOIN LATERAL (
                SELECT originator_version, topic, state FROM {log}
                WHERE originator_id = expected.id ORDER BY originator_version DESC LIMIT 1
            ) AS last ON true
            WHERE expected.version <> coalesce(last.originator_version, 0)
                OR expected.hash <> event_hash_v1(
                    expected.id, last.originator_version, last.topic, last.state
                )
        ) THEN
            RAISE serialization_failure USING MESSAGE = 'an execution has new events';
        END IF;
        SELECT clock_timestamp(), coalesce(max(notification_id), 0) INTO at, last FROM {log};
        IF expected_at > at OR expected_at < at - interval '100 milliseconds' THEN
            RAISE serialization_failure USING MESSAGE = 'the estimated time was wrong';
        END IF;
        IF jsonb_array_length(batch -> 'events') > 0 THEN
            NOTIFY {channel};
            WITH inserted AS (
                INSERT INTO {log} (originator_id, originator_version, topic, state)
                SELECT id, version, topic, substring(states FROM begins + 1 FOR size)
                FROM jsonb_to_recordset(batch -> 'events')
                    AS event (id uuid, version bigint, topic text, begins integer, size integer)
                RETURNING notification_id
            ) SELECT array_agg(notification_id ORDER BY notification_id) INTO positions
            FROM inserted;
        END IF;
        PERFORM write_side_tables_v8(batch -> 'side_tables');
        RETURN json_build_object('at', at, 'last', last, 'positions', positions);
    END $$
""")
_CALL_APPEND = "SELECT {}(%t::jsonb, %b::bytea)::text"

_encode = msgspec.json.Encoder().encode


def lock_statement(schema: str = "public", events_table: str = EVENTS_TABLE) -> Composed:
    """Return the statement that takes the lock of a log until the end of the transaction."""
    return SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
        Literal(f"{schema}.{events_table}")
    )


class Appended(msgspec.Struct, frozen=True):
    """The positions of appended events, and the database's time.

    ``last`` is the position of the log's last event before them.
    """

    at: datetime
    last: int
    positions: list[int]


_read = msgspec.json.Decoder(Appended).decode


class _Recorder(PostgresAggregateRecorder):
    """Creates the library's type only if it is missing. Otherwise PostgreSQL logs an error."""

    def create_table(self) -> None:
        """Create what is missing."""
        type_ = Identifier(self.datastore.schema, self.stored_event_type_name).as_string()
        if_missing = SQL("DO $$ BEGIN IF to_regtype({type_}) IS NULL THEN {create}; END IF; END $$")
        self.sql_create_statements = [
            if_missing.format(type_=Literal(type_), create=statement)
            if "CREATE TYPE" in statement.as_string()
            else statement
            for statement in self.sql_create_statements
        ]
        super().create_table()


class LogRecorder(_Recorder, PostgresApplicationRecorder):
    """Appends under an advisory lock, so that positions become visible in their order.

    The library's LOCK TABLE does that too, but it waits until a running VACUUM or ANALYZE has
    ended. All processes that append to a log take this same lock.
    """

    def __init__(
        self, datastore: PostgresDatastore, *, events_table_name: str = "stored_events"
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        lock = lock_statement(datastore.schema, events_table_name)
        self.lock_table_statements = [self.lock_table_statements[0], lock]
        append = Identifier(datastore.schema, f"{events_table_name}_append_v8")
        self.sql_create_statements.append(
            APPEND.format(
                function=append,
                lock=lock,
                log=Identifier(datastore.schema, events_table_name),
                channel=Identifier(self.channel_name),
            )
        )
        # As bytes, because a composed statement would be rendered again at each execution.
        self._append = SQL(_CALL_APPEND).format(append).as_bytes(None)
        self._begin = SQL("BEGIN; {}").format(lock).as_bytes(None)

    # Without the library's ten retries, so that a lost database is reported at once.
    select_events = unwrap(PostgresApplicationRecorder.select_events)

    async def connect(self) -> AsyncConnection[DictRow]:
        """Open a new connection, for transactions that read, decide and append.

        Raises psycopg.OperationalError if the database can't be reached.
        """
        datastore = self.datastore
        assert isinstance(datastore.pool.kwargs, dict)
        connection = await TimedConnection.connect(**datastore.pool.kwargs, autocommit=True)
        # The database itself ends the wait for the lock. If it does not, it is not answering.
        connection.answer_within = datastore.lock_timeout + SILENT_AFTER
        # Set it in case the database has another default. With REPEATABLE READ, a statement after
        # the lock would not see commits from before it.
        await connection.execute(
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"
        )
        lock, idle = datastore.lock_timeout, datastore.idle_in_transaction_session_timeout
        limits = {"lock_timeout": lock, "idle_in_transaction_session_timeout": idle}
        if connection.info.server_version >= HAS_TRANSACTION_TIMEOUT:
            # The limit on idle sessions does not apply to a process that was stopped while sending.
            limits["transaction_timeout"] = lock + idle
        for name, seconds in limits.items():
            await connection.execute(
                "SELECT set_config(%s, %s, false)", [name, f"{int(seconds * 1000)}ms"]
            )
        return connection

    def cursor(self, connection: AsyncConnection[DictRow]) -> AsyncCursor[str]:
        """Return the cursor for :meth:`append`, on a connection of :meth:`connect`."""
        return connection.cursor(row_factory=scalar_row)

    async def begin(self, connection: AsyncConnection[DictRow]) -> None:
        """Begin a transaction and take the log's lock, on a connection of :meth:`connect`."""
        # Two statements in one string can't be prepared.
        await connection.execute(self._begin, prepare=False)

    async def append(
        self,
        cursor: AsyncCursor[str],
        events: Sequence[ChainedEvent],
        rows: SideTableRows,
        *,
        expected: Mapping[UUID, Head | None],
        at: datetime | None,
    ) -> Appended:
        """Take the log's lock, insert events, write the side tables and notify.

        This is one statement; outside of a transaction, it is also the commit. ``cursor`` comes
        from :meth:`cursor`. ``expected`` has the last head of each execution, None for a new one.
        Raises psycopg.errors.SerializationFailure, and changes nothing, if an execution has another
        version or hash, or if the time ``at`` is in the future or more than a tenth of a second
        ago.
        """
        states = b"".join([event.stored for event in events])
        batch = {
            "expected": [
                {"id": id_, "version": 0, "hash": None}
                if head is None
                else {"id": id_, "version": head.version, "hash": head.hash}
                for id_, head in expected.items()
            ],
            "at": at,
            "events": _described(events),
            "side_tables": rows,
        }
        await cursor.execute(self._append, [_encode(batch).decode(), states], prepare=True)
        [appended] = await cursor.fetchall()
        return _read(appended)


def _described(events: Sequence[ChainedEvent]) -> list[dict[str, Any]]:
    """Return the columns of events, with offset and size of each one's bytes among all bytes."""
    described = []
    begins = 0
    for event in events:
        recorded, size = event.recorded, len(event.stored)
        described.append(
            {
                "id": recorded.execution_id,
                "version": recorded.version,
                "topic": event.topic,
                "begins": begins,
                "size": size,
            }
        )
        begins += size
    return described


class SnapshotRecorder(_Recorder):
    """Stores snapshots, also without the library's ten retries."""

    insert_events = unwrap(PostgresAggregateRecorder.insert_events)
    select_events = unwrap(PostgresAggregateRecorder.select_events)


class LogFactory(PostgresFactory):
    """Builds the recorders for one connection string, and uses all parts of the string."""

    aggregate_recorder_class = SnapshotRecorder
    application_recorder_class = LogRecorder

    @classmethod
    def environment(
        cls,
        conninfo: str,
        *,
        lock_timeout: int,
        idle_in_transaction_timeout: int,
        create_table: bool,
    ) -> Mapping[str, str]:
        """Return the library's settings. Both time limits are in whole seconds."""
        fields = conninfo_to_dict(conninfo)
        return {
            "POSTGRES_DBNAME": str(fields.get("dbname", "")),
            "POSTGRES_HOST": str(fields.get("host", "")),
            "POSTGRES_PORT": str(fields.get("port", 5432)),
            "POSTGRES_USER": str(fields.get("user", "")),
            "POSTGRES_PASSWORD": str(fields.get("password", "")),
            "POSTGRES_LOCK_TIMEOUT": str(lock_timeout),
            "POSTGRES_IDLE_IN_TRANSACTION_SESSION_TIMEOUT": str(idle_in_transaction_timeout),
            "POSTGRES_POOL_SIZE": "1",
            "POSTGRES_MAX_OVERFLOW": "3",
            "POSTGRES_CONNECT_TIMEOUT": "5",
            "CREATE_TABLE": "yes" if create_table else "no",
        }

    def __init__(self, env: Environment, conninfo: str) -> None:
        super().__init__(env)
        options: dict[str, Any] = {
            **CONNECTION_DEFAULTS,
            **conninfo_to_dict(conninfo),
            "row_factory": dict_row,
        }
        self.datastore.pool.kwargs = options
        # An attempt to reconnect ends after a second, and the next caller begins a new one. So
        # there is no growing pause after the database is available again.
        self.datastore.pool.reconnect_timeout = 1.0
