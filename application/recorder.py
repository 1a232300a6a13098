"""The event store's recorder on PostgreSQL, with a lock that leaves maintenance alone."""

from collections.abc import Mapping, Sequence
from inspect import unwrap
from typing import Any

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import (
    PostgresAggregateRecorder,
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresFactory,
)
from eventsourcing.utils import Environment
from psycopg import Connection, Cursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg.types.composite import register_composite

# A database that is gone must be noticed, not waited for: seconds, and milliseconds for the last.
CONNECTION_DEFAULTS = {"connect_timeout": 5, "tcp_user_timeout": 10_000}

EVENTS_TABLE = "execution_events"
HAS_TRANSACTION_TIMEOUT = 170_000


def lock_statement(schema: str = "public", events_table: str = EVENTS_TABLE) -> Composed:
    """Give the statement that takes a log's lock until the end of the transaction."""
    return SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
        Literal(f"{schema}.{events_table}")
    )


class LogRecorder(PostgresApplicationRecorder):
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
        # Composed statements are put together anew at each execution.
        self._lock = lock.as_bytes(None)
        self._notify = SQL("NOTIFY {}").format(Identifier(self.channel_name)).as_bytes(None)

    # Without the library's ten retries: whoever asks is told at once that the database is away.
    select_events = unwrap(PostgresApplicationRecorder.select_events)

    def connect(self) -> Connection[DictRow]:
        """Open a connection of one's own, for transactions that read, decide and append.

        Raises psycopg.OperationalError if the database can't be reached.
        """
        self.datastore.register_type_adapters()
        pool = self.datastore.pool
        assert isinstance(pool.kwargs, dict)
        connection = Connection[DictRow].connect(**pool.kwargs, autocommit=True)
        for info in self.datastore.psycopg_type_adapters.values():
            register_composite(info, connection)
        self.datastore.after_connect_func()(connection)
        connection.execute(f"SET lock_timeout = '{self.datastore.lock_timeout}s'")
        if connection.info.server_version >= HAS_TRANSACTION_TIMEOUT:
            # The time limit on idleness does not see a process that is stopped while it sends.
            limit = self.datastore.lock_timeout + self.datastore.idle_in_transaction_session_timeout
            connection.execute(f"SET transaction_timeout = '{int(limit)}s'")
        return connection

    def take_lock(self, cursor: Cursor[DictRow]) -> None:
        """Take the log's lock until the end of the transaction, on a connection of ours."""
        cursor.execute(self._lock, prepare=True)

    def append(self, cursor: Cursor[DictRow], events: Sequence[StoredEvent]) -> None:
        """Insert events and notify, in a transaction that holds the lock."""
        cursor.execute(self._notify)
        # The method of the class in between takes the lock and notifies once more.
        PostgresAggregateRecorder._insert_stored_events(self, cursor, events)  # noqa: SLF001

    def positions(self, cursor: Cursor[DictRow], events: Sequence[StoredEvent]) -> Sequence[int]:
        """Give the positions of the events that :meth:`append` inserted with this cursor."""
        return self._fetch_ids_after_insert_events(cursor, events) or []


class SnapshotRecorder(PostgresAggregateRecorder):
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
