"""The event store's recorder on PostgreSQL, with a lock that leaves maintenance alone."""

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

from application.event_store.recorded import ChainedEvent, Head
from application.event_store.side_tables import SideTableRows
from application.event_store.timed_connection import TimedConnection

# A database that is gone must be noticed, not waited for: seconds, and milliseconds for the last.
CONNECTION_DEFAULTS = {"connect_timeout": 5, "tcp_user_timeout": 10_000}

SILENT_AFTER = 5.0
"""Seconds beyond the longest wait for the lock, after which an answer is not waited for."""

EVENTS_TABLE = "execution_events"
HAS_TRANSACTION_TIMEOUT = 170_000

# Each statement in a function of this language sees what was committed until it began, so what is
# read after the lock is as it will be until the commit. One call with two parameters and one
# result, because each statement, and each array or column, costs the driver more than the server.
# The states come one after the other: JSON would be slow with large ones, and has room for 256 MB.
_APPEND = SQL("""
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
            RAISE serialization_failure USING MESSAGE = 'an execution has other events by now';
        END IF;
        SELECT clock_timestamp(), coalesce(max(notification_id), 0) INTO at, last FROM {log};
        IF expected_at > at OR expected_at < at - interval '100 milliseconds' THEN
            RAISE serialization_failure USING MESSAGE = 'it is not the time that it was taken for';
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
        PERFORM write_side_tables_v2(batch -> 'side_tables');
        RETURN json_build_object('at', at, 'last', last, 'positions', positions);
    END $$
""")
_CALL_APPEND = "SELECT {}(%t::jsonb, %b::bytea)::text"

_encode = msgspec.json.Encoder().encode


def lock_statement(schema: str = "public", events_table: str = EVENTS_TABLE) -> Composed:
    """Give the statement that takes a log's lock until the end of the transaction."""
    return SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
        Literal(f"{schema}.{events_table}")
    )


class Appended(msgspec.Struct, frozen=True):
    """The positions of events appended, at a time of the database.

    ``last`` is the position of the log's last event before them.
    """

    at: datetime
    last: int
    positions: list[int]


_read = msgspec.json.Decoder(Appended).decode


class _Recorder(PostgresAggregateRecorder):
    """Creates the library's type only where it is missing, else PostgreSQL logs an error."""

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

    LOCK TABLE would do that too, but it conflicts with VACUUM and ANALYZE and waits for their
    whole run. All writers of one log take this same lock.
    """

    def __init__(
        self, datastore: PostgresDatastore, *, events_table_name: str = "stored_events"
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        lock = lock_statement(datastore.schema, events_table_name)
        self.lock_table_statements = [self.lock_table_statements[0], lock]
        append = Identifier(datastore.schema, f"{events_table_name}_append_v2")
        self.sql_create_statements.append(
            _APPEND.format(
                function=append,
                lock=lock,
                log=Identifier(datastore.schema, events_table_name),
                channel=Identifier(self.channel_name),
            )
        )
        # Composed statements are put together anew at each execution.
        self._append = SQL(_CALL_APPEND).format(append).as_bytes(None)
        self._begin = SQL("BEGIN; {}").format(lock).as_bytes(None)

    # Without the library's ten retries: whoever asks is told at once that the database is away.
    select_events = unwrap(PostgresApplicationRecorder.select_events)

    async def connect(self) -> AsyncConnection[DictRow]:
        """Open a connection of one's own, for transactions that read, decide and append.

        Raises psycopg.OperationalError if the database can't be reached.
        """
        datastore = self.datastore
        assert isinstance(datastore.pool.kwargs, dict)
        connection = await TimedConnection.connect(**datastore.pool.kwargs, autocommit=True)
        # Whoever waits for the lock is told by the database; a little later, it is silent.
        connection.answer_within = datastore.lock_timeout + SILENT_AFTER
        # Whatever the database's own default is: a snapshot from before the lock would show a past.
        await connection.execute(
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"
        )
        lock, idle = datastore.lock_timeout, datastore.idle_in_transaction_session_timeout
        limits = {"lock_timeout": lock, "idle_in_transaction_session_timeout": idle}
        if connection.info.server_version >= HAS_TRANSACTION_TIMEOUT:
            # The time limit on idleness does not see a process that is stopped while it sends.
            limits["transaction_timeout"] = lock + idle
        for name, seconds in limits.items():
            await connection.execute(
                "SELECT set_config(%s, %s, false)", [name, f"{int(seconds * 1000)}ms"]
            )
        return connection

    def cursor(self, connection: AsyncConnection[DictRow]) -> AsyncCursor[str]:
        """Give what appends on a connection of ours, for as long as that is open."""
        return connection.cursor(row_factory=scalar_row)

    async def begin(self, connection: AsyncConnection[DictRow]) -> None:
        """Begin a transaction with the log's lock, on a connection of ours."""
        # Two statements at once can't be prepared.
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

        In one statement, which outside of a transaction is one of its own, by a cursor of
        :meth:`cursor`. ``expected`` is the last head of each execution, None for none. If one has
        another version or hash, or if the time ``at`` is ahead or more than a tenth of a second
        ago, nothing is done and psycopg.errors.SerializationFailure raised.
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
    """Give what there is of events beside their states, and where each has its own."""
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
    """Keeps snapshots, without the library's ten retries too."""

    insert_events = unwrap(PostgresAggregateRecorder.insert_events)
    select_events = unwrap(PostgresAggregateRecorder.select_events)


class LogFactory(PostgresFactory):
    """Builds the recorders for one connection string, of which it drops no part."""

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
        """Give the library's settings. Both time limits are in whole seconds."""
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
        # After a second without success an attempt ends and the next caller begins a new one, so
        # no growing pause stands between the database's return and ours.
        self.datastore.pool.reconnect_timeout = 1.0
