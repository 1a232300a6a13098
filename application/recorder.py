"""The event store's recorder on PostgreSQL, with a lock that leaves maintenance alone."""

from collections.abc import Mapping
from typing import Any

from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.sql import SQL, Literal



class LogRecorder(PostgresApplicationRecorder):
    """Appends under an advisory lock, so that positions become visible in their order.

    LOCK TABLE would do that too, but it conflicts with VACUUM and ANALYZE and waits for their
    whole run. All writers of one log take this same lock.
    """

    def __init__(
        self, datastore: PostgresDatastore, *, events_table_name: str = "stored_events"
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.lock_table_statements = [
            self.lock_table_statements[0],
            SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))").format(
                Literal(f"{datastore.schema}.{events_table_name}")
            ),
        ]


class LogFactory(PostgresFactory):
    """Builds the recorders for one connection string, of which it drops no part."""

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
        options: dict[str, Any] = {**conninfo_to_dict(conninfo), "row_factory": dict_row}
        self.datastore.pool.kwargs = options
