"""After a restore of the database nobody is told again what they were told before it.

A backup has messages that waited when it was made. They were sent since, which the restored
database does not know. So a leader that finds itself on another database than the leader before it
keeps all of them back, as dead letters: an ADMIN sees them and can send them. It goes on with the
events that are recorded from then on.

A database is another if it was loaded from a dump, which gives the table another id, was copied
within its cluster, which gives the database another id, or lies on another cluster. The timeline of
PostgreSQL changes when files are restored up to a moment, and also when a standby takes over, which
loses a few commits at most. A takeover follows the last sign of life of a leader closely, so only
after a longer time it counts as a restore. A copy of all files shows none of this: ``placet-server
outbox hold`` says it by hand.
"""

from datetime import timedelta
from typing import Any

import structlog
from psycopg import AsyncConnection

_log = structlog.get_logger(__name__)

TAKEOVER = timedelta(minutes=5)

# Some hosts of PostgreSQL let nobody ask for the cluster: the ids in it then have to do.
_MAY_ASK = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
_CLUSTER = "SELECT system_identifier::text FROM pg_control_system()"
# A standby has the timeline of its last restart point, so it is read from the primary's write-ahead
# log: the first 8 digits of the name of its file.
_IDENTITY = """
    SELECT %s || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
        || '.' || 'outbox_messages'::regclass::oid,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
"""
_KNOWN = """
    SELECT database, timeline, coalesce(seen_at < clock_timestamp() - %s, true) FROM outbox_state
    FOR UPDATE
"""
_SAVE = "UPDATE outbox_state SET database = %s, timeline = %s, seen_at = clock_timestamp()"
_TO_END = """
    UPDATE outbox_state SET position = greatest(
        position, (SELECT coalesce(max(notification_id), 0) FROM execution_events)
    )
"""
_HOLD = """
    UPDATE outbox_messages SET status = 'DEAD', ended_at = clock_timestamp(), claimed_by = NULL,
        last_error = 'kept back after a restore of the database: it may have been sent before'
    WHERE status = 'WAITING' AND (due_at <= clock_timestamp() OR tries > 0)
"""


async def hold_after_restore(connection: AsyncConnection[Any]) -> int:
    """Keep back what waits, if the database was restored. Returns how many messages that are."""
    async with connection.transaction():
        may_ask = await (await connection.execute(_MAY_ASK)).fetchone()
        cluster = None
        if may_ask == (True,):
            cluster = await (await connection.execute(_CLUSTER)).fetchone()
        name = "" if cluster is None else cluster[0]
        identity = await (await connection.execute(_IDENTITY, [name])).fetchone()
        known = await (await connection.execute(_KNOWN, [TAKEOVER])).fetchone()
        assert identity is not None
        assert known is not None, "schema.sql puts one row into outbox_state"
        held = 0
        other = known[0] is not None and _differ(known[0], identity[0])
        if other or (known[1] is not None and known[1] != identity[1] and known[2]):
            held = await hold(connection)
            _log.warning("outbox_held_after_restore", messages=held)
        await connection.execute(_SAVE, identity)
    return held


def _differ(one: str, other: str) -> bool:
    """Whether two databases differ. A cluster that is not known is not compared."""
    (cluster, _, ids), (another, _, its_ids) = one.partition("/"), other.partition("/")
    return ids != its_ids or bool(cluster and another and cluster != another)


async def hold(connection: AsyncConnection[Any]) -> int:
    """Keep back all messages that are due, and pass over the events that nobody was told of yet."""
    await connection.execute(_TO_END)
    return (await connection.execute(_HOLD)).rowcount
