"""The table of the outbox: every statement on ``outbox_messages`` that delivery needs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import kwargs_row
from psycopg_pool import AsyncConnectionPool

from application.notifications.message import Message, MessageKind, MessageStatus, NewMessage
from application.notifications.restores import hold_after_restore

GIVE_UP_AFTER = timedelta(days=3)
LEASE = timedelta(minutes=15)
"""After this time a message that was claimed is tried again, if its outcome was not recorded."""
KEEP = timedelta(days=90)
"""How long messages that were sent or skipped are kept. Dead ones stay."""
CHUNK = 1000
CANDIDATES = 4
"""How many times more rows are looked at than claimed, if one recipient has many of them."""

# A digest is made only for messages that are new.
_INSERT = """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(messages)s::jsonb) AS m (
            id uuid, kind text, recipient text, channel text, execution_id uuid, ordinal integer,
            version bigint, position bigint, due_at timestamptz, digest_id uuid
        )
    ), added AS (
        INSERT INTO outbox_messages (
            id, kind, recipient, channel, execution_id, ordinal, version, position, due_at,
            digest_id
        )
        SELECT id, kind, recipient, channel, execution_id, ordinal, version, position,
            coalesce(due_at, clock_timestamp()), digest_id
        FROM given ON CONFLICT (id) DO NOTHING
        RETURNING recipient, channel, position, due_at, digest_id
    ), digests AS (
        INSERT INTO outbox_messages (id, kind, recipient, channel, version, position, due_at)
        SELECT DISTINCT ON (digest_id) digest_id, 'DIGEST', recipient, channel, 0, position, due_at
        FROM added WHERE digest_id IS NOT NULL ORDER BY digest_id, position
        ON CONFLICT (id) DO NOTHING
    )
    SELECT count(*) FROM added
"""
_COLUMNS = """
    id, kind, recipient, channel, execution_id, ordinal, version, position, created_at, tries,
    channel_reference
"""
_CLAIM = f"""
    WITH due AS MATERIALIZED (
        SELECT id, recipient, due_at FROM outbox_messages
        WHERE status = 'WAITING' AND digest_id IS NULL AND channel = %(channel)s
            AND due_at <= clock_timestamp() AND recipient <> ALL (%(crowded)s)
        ORDER BY due_at LIMIT %(candidates)s FOR UPDATE SKIP LOCKED
    ), chosen AS (
        SELECT id FROM (
            SELECT id, due_at, row_number() OVER (PARTITION BY recipient ORDER BY due_at) AS place
            FROM due
        ) AS placed WHERE place <= %(per_recipient)s ORDER BY due_at LIMIT %(limit)s
    )
    UPDATE outbox_messages AS m
    SET tries = tries + 1, due_at = clock_timestamp() + %(lease)s, claimed_by = %(claimed_by)s,
        give_up_at = coalesce(give_up_at, clock_timestamp() + %(give_up)s)
    FROM chosen WHERE m.id = chosen.id
    RETURNING {_COLUMNS.replace("id, kind", "m.id, kind", 1)}
"""  # noqa: S608 - only names of columns
_RELEASE = """
    UPDATE outbox_messages SET due_at = clock_timestamp(), claimed_by = NULL
    WHERE status = 'WAITING' AND claimed_by <> %s
"""
_NEXT = """
    SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8 FROM outbox_messages
    WHERE status = 'WAITING' AND digest_id IS NULL AND channel = %s
"""
_ITEMS = f"""
    SELECT {_COLUMNS} FROM outbox_messages
    WHERE digest_id = %s AND status = 'WAITING' ORDER BY position, id
"""  # noqa: S608 - only names of columns
_RECORD = """
    WITH outcomes AS (
        SELECT o.*, o.wait IS NOT NULL
            AND clock_timestamp() + o.wait * interval '1 second' > m.give_up_at AS too_late
        FROM jsonb_to_recordset(%(outcomes)s::jsonb) AS o (
            id uuid, status text, error text, reference text, wait float8, due_at timestamptz
        )
        JOIN outbox_messages AS m ON m.id = o.id
    )
    UPDATE outbox_messages AS m
    SET status = CASE WHEN o.too_late THEN 'DEAD' ELSE o.status END,
        ended_at = CASE WHEN o.too_late OR o.status <> 'WAITING' THEN clock_timestamp() END,
        due_at = coalesce(o.due_at, clock_timestamp() + o.wait * interval '1 second', m.due_at),
        -- One that is postponed has not been tried.
        give_up_at = CASE WHEN o.due_at IS NULL THEN m.give_up_at END,
        tries = CASE WHEN o.due_at IS NULL THEN m.tries ELSE greatest(m.tries - 1, 0) END,
        last_error = o.error,
        channel_reference = coalesce(o.reference, m.channel_reference),
        claimed_by = NULL
    FROM outcomes AS o WHERE m.id = o.id AND m.status = 'WAITING'
    RETURNING m.id, m.kind, m.channel, m.status, o.wait IS NOT NULL AS failed
"""
# A message whose digest died is dead too, so that an ADMIN sees it.
_DEAD_WITH_DIGEST = """
    UPDATE outbox_messages SET status = 'DEAD', ended_at = clock_timestamp(),
        last_error = 'its digest could not be delivered'
    WHERE digest_id = ANY (%s) AND status = 'WAITING'
"""
_WAITING = """
    SELECT channel, count(*) FROM outbox_messages WHERE status = 'WAITING' GROUP BY channel
"""
_FORGET = """
    DELETE FROM outbox_messages WHERE id IN (
        SELECT id FROM outbox_messages WHERE status = ANY ('{SENT,SKIPPED}')
            AND ended_at < clock_timestamp() - %s LIMIT %s
    )
"""
# The envelope of an event names its trace, see domain/serialization/event_codec.py.
_TRACES = """
    SELECT m.id, convert_from(e.state, 'UTF8')::json ->> 'trace'
    FROM outbox_messages AS m JOIN execution_events AS e
        ON e.originator_id = m.execution_id AND e.originator_version = m.version
    WHERE m.id = ANY (%s)
"""
_REFERENCES = """
    SELECT recipient, channel_reference FROM outbox_messages
    WHERE execution_id = %s AND ordinal = %s AND channel = %s AND channel_reference IS NOT NULL
    ORDER BY position, id
"""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a try. WAITING with ``wait``: it failed; the next try is in so many seconds.

    WAITING with ``due_at``: it was not tried, and will be then. ``error`` is also the reason for a
    message that was skipped. ``reference`` is what the channel returned.
    """

    id: UUID
    status: MessageStatus
    error: str | None = None
    reference: str | None = None
    wait: float | None = None
    due_at: datetime | None = None


class Recorded(NamedTuple):
    """How a message stands after its outcome was recorded. ``failed``: the try did."""

    id: UUID
    kind: str
    channel: str
    status: MessageStatus
    failed: bool


class OutboxTable:
    """The statements. Each raises psycopg errors or PoolTimeout."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    @staticmethod
    async def add(connection: AsyncConnection[Any], messages: Sequence[NewMessage]) -> int:
        """Put messages into the outbox, as a part of the caller's transaction.

        Returns how many of them are new.
        """
        added = 0
        for start in range(0, len(messages), CHUNK):
            rows = [
                {"id": each.id, **msgspec.structs.asdict(each)}
                for each in messages[start : start + CHUNK]
            ]
            params = {"messages": msgspec.json.encode(rows).decode()}
            row = await (await connection.execute(_INSERT, params, prepare=True)).fetchone()
            assert row is not None
            added += row[0]
        return added

    async def claim(
        self,
        channel: str,
        leadership: UUID,
        *,
        limit: int,
        per_recipient: int,
        crowded: Sequence[str] = (),
    ) -> list[Message]:
        """Take messages that are due, the earliest first, for a try in this leadership.

        At most ``per_recipient`` of one recipient, and none of those who are ``crowded``.
        """
        params = {
            "channel": channel,
            "claimed_by": leadership,
            "lease": LEASE,
            "give_up": GIVE_UP_AFTER,
            "limit": limit,
            "candidates": limit if per_recipient >= limit else limit * CANDIDATES,
            "per_recipient": per_recipient,
            "crowded": list(crowded),
        }
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=kwargs_row(_message))
            await cursor.execute(_CLAIM, params, prepare=True)
            return await cursor.fetchall()

    async def traces(self, ids: Sequence[UUID]) -> dict[UUID, str | None]:
        """Return the traceparents of the events that messages tell of, by the ids of these."""
        async with self._pool.connection() as connection:
            return dict(await (await connection.execute(_TRACES, [list(ids)])).fetchall())

    async def hold_after_restore(self) -> None:
        """Keep back what waits, if the database was restored."""
        async with self._pool.connection() as connection:
            await hold_after_restore(connection)

    async def release_others(self, leadership: UUID) -> None:
        """Make due what other leaderships claimed: their server has ended or stands still."""
        async with self._pool.connection() as connection:
            await connection.execute(_RELEASE, [leadership])

    async def seconds_to_next(self, channel: str) -> float | None:
        """Return in how many seconds a message is due; None if none waits."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_NEXT, [channel], prepare=True)).fetchone()
        return None if row is None else row[0]

    async def items_of(self, digest_id: UUID) -> list[Message]:
        """Return the messages that wait for a digest, the oldest first."""
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=kwargs_row(_message))
            await cursor.execute(_ITEMS, [digest_id])
            return await cursor.fetchall()

    async def record(self, outcomes: Sequence[Outcome]) -> list[Recorded]:
        """Record what became of tries, in one transaction."""
        params = {"outcomes": msgspec.json.encode(outcomes).decode()}
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=kwargs_row(_recorded))
            await cursor.execute(_RECORD, params, prepare=True)
            recorded = await cursor.fetchall()
            digests = [
                each.id
                for each in recorded
                if each.status is MessageStatus.DEAD and each.kind == MessageKind.DIGEST
            ]
            if digests:
                await connection.execute(_DEAD_WITH_DIGEST, [digests])
        return recorded

    async def waiting(self) -> Mapping[str, int]:
        """Count the messages that wait, by channel."""
        async with self._pool.connection() as connection:
            return dict(await (await connection.execute(_WAITING)).fetchall())

    async def forget(self) -> int:
        """Delete some of the messages that are older than they are kept. Returns how many."""
        async with self._pool.connection() as connection:
            return (await connection.execute(_FORGET, [KEEP, CHUNK])).rowcount

    async def references(
        self, channel: str, execution_id: UUID, ordinal: int
    ) -> list[tuple[str, str]]:
        """Return for each message that a channel sent of an approval its recipient and reference.

        The oldest come first.
        """
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_REFERENCES, [execution_id, ordinal, channel])
            return [(recipient, reference) for recipient, reference in await cursor.fetchall()]


def _message(**row: Any) -> Message:
    return Message(**{**row, "kind": MessageKind(row["kind"])})


def _recorded(**row: Any) -> Recorded:
    return Recorded(**{**row, "status": MessageStatus(row["status"])})
