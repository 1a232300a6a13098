"""Creates the tables, or checks that they are there and that this role may use them."""

import hashlib
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import Connection

from api.console import tables as console_tables
from api.slack import tables as slack_tables
from application.event_store.recorder import CONNECTION_DEFAULTS
from application.event_store.schema import create_tables, definition
from projections.registry import MODELS
from projections.runtime.read_model import ReadModel
from projections.runtime.schema import migrate as migrate_read_models
from projections.runtime.schema import stale

OLDEST = 15
ENCODING = "UTF8"

NEEDED = {
    "execution_events": ("SELECT", "INSERT"),
    "execution_snapshots": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "start_keys": ("SELECT", "INSERT"),
    "execution_holds": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "execution_timers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "worker_leases": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "open_standing_grants": ("SELECT", "INSERT", "DELETE"),
    "people": ("SELECT", "INSERT", "UPDATE"),
    "calendars": ("SELECT", "INSERT", "UPDATE"),
    "scim_groups": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "substitutes": ("SELECT", "INSERT", "DELETE"),
    "lost_holds": ("SELECT", "INSERT", "DELETE"),
    "projection_positions": ("SELECT", "INSERT", "UPDATE"),
    "projection_failures": ("SELECT", "INSERT", "DELETE"),
    "outbox_messages": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "outbox_state": ("SELECT", "UPDATE"),
    "notification_preferences": ("SELECT", "INSERT", "UPDATE"),
    "server_secrets": ("SELECT",),
    "api_keys": ("SELECT", "INSERT", "UPDATE"),
    "webhooks": ("SELECT", "INSERT", "UPDATE"),
    "slack_cards": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "console_sessions": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "console_views": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "push_subscriptions": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "identity_subjects": ("SELECT", "INSERT"),
    "console_logins": ("SELECT", "INSERT", "DELETE"),
    **{
        table: ("SELECT", "INSERT", "UPDATE", "DELETE")
        for model in MODELS.values()
        for table in model.tables
    },
}
"""What a server does with each table. It only ever adds events."""

_SESSION = """
    SELECT current_user, current_database(), current_setting('server_version'),
        current_setting('server_version_num')::integer / 10000,
        current_setting('server_encoding'), 'public' = ANY (current_schemas(false))
"""
# CREATE OR REPLACE and ALTER need an owner.
_MAY_CREATE = """
    SELECT has_schema_privilege(current_schema(), 'CREATE') AND NOT EXISTS (
        SELECT FROM pg_class WHERE oid = to_regclass('execution_events')
            AND NOT pg_has_role(relowner, 'USAGE')
    )
"""
_MISSING = """
    SELECT name, privilege
    FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS needed (name, privilege, place)
    WHERE NOT has_table_privilege(name, privilege) ORDER BY place
"""
_SEQUENCE = """
    SELECT sequence, 'USAGE'
    FROM pg_get_serial_sequence('execution_events', 'notification_id') AS sequence
    WHERE NOT has_sequence_privilege(sequence, 'USAGE')
"""
_APPLIED = "SELECT FROM applied_schemas WHERE digest = %s"
_APPLY = "INSERT INTO applied_schemas (digest) VALUES (%s) ON CONFLICT DO NOTHING"


class DatabaseUnfitError(Exception):
    """The database can't be used as it is. The message is one line and says what to do."""


def migrate(database_url: str) -> tuple[str, ...]:
    """Create all missing tables. It is safe at any time, and from several processes at once.

    Returns the names of the read models whose tables have another version. They must be rebuilt.

    A role that may not create tables creates nothing: it can use tables that an owner has created
    with this version. Raises DatabaseUnfitError if they are not there or it may not use one, and
    for a database of another version or encoding. Raises psycopg errors.
    """
    with psycopg.connect(
        database_url,
        autocommit=True,
        application_name="placet-migrate",
        **CONNECTION_DEFAULTS,  # type: ignore[arg-type]
    ) as connection:
        role = _check_session(connection)
        digest = _digest(MODELS.values())
        if connection.execute(_MAY_CREATE).fetchone() != (True,):
            _check_applied(connection, role, digest)
            _check_rights(connection, role)
            return stale(connection, MODELS.values())
        create_tables(database_url)
        console_tables.create_tables(database_url)
        slack_tables.create_tables(database_url)
        other = migrate_read_models(database_url, MODELS.values())
        connection.execute(_APPLY, [digest])
        return other


def _check_session(connection: Connection[Any]) -> str:
    """Return the role. Raises DatabaseUnfitError."""
    [row] = connection.execute(_SESSION).fetchall()
    role, database, version, major, encoding, has_public = row
    if major < OLDEST:
        msg = f"PostgreSQL {version} is too old: Placet needs version {OLDEST} or newer"
        raise DatabaseUnfitError(msg)
    if encoding != ENCODING:
        msg = (
            f"the database {database!r} has the encoding {encoding}, which can't store all texts; "
            "make another: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        )
        raise DatabaseUnfitError(msg)
    if not has_public:
        msg = (
            f"the role {role!r} does not find the schema public, where the log is: it is not on "
            "the search_path, or the role lacks USAGE on it"
        )
        raise DatabaseUnfitError(msg)
    return str(role)


def _check_applied(connection: Connection[Any], role: str, digest: str) -> None:
    try:
        applied = connection.execute(_APPLIED, [digest]).fetchone() is not None
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        applied = False
    if not applied:
        msg = (
            f"tables are missing or of another version, and the role {role!r} may not create them; "
            "run `placet-server migrate` as the owner of the tables, and give this role the rights "
            "that docs/operations.md lists"
        )
        raise DatabaseUnfitError(msg)


def _check_rights(connection: Connection[Any], role: str) -> None:
    needed = [(table, right) for table, rights in NEEDED.items() for right in rights]
    tables, rights = zip(*needed, strict=True)
    missing = connection.execute(_MISSING, [list(tables), list(rights)]).fetchall()
    missing += connection.execute(_SEQUENCE).fetchall()
    if missing:
        lacks = ", ".join(f"{right} on {name}" for name, right in missing)
        msg = f"the role {role!r} lacks {lacks}; docs/operations.md lists the rights that it needs"
        raise DatabaseUnfitError(msg)


def _digest(models: Iterable[ReadModel]) -> str:
    """Return what identifies the tables of this version."""
    definitions = [definition(), console_tables.definition(), slack_tables.definition()]
    definitions += [f"{model.version} {model.definition}" for model in models]
    return hashlib.sha256("\n".join(definitions).encode()).hexdigest()
