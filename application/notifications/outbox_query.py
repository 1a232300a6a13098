"""Reads of the outbox for people and administrators, and sending dead letters again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import kwargs_row
from psycopg.sql import SQL, Composable
from psycopg_pool import AsyncConnectionPool

from application.notifications.message import MessageKind, MessageStatus
from domain.identifiers import ApprovalId
from domain.names import normal

COUNT_LIMIT = 10_000

_PAGE = SQL("""
    SELECT id, kind, recipient, channel, execution_id, ordinal, position, status, created_at,
        due_at, ended_at, digest_id, tries, last_error
    FROM outbox_messages WHERE {where} ORDER BY position DESC, id DESC LIMIT %(limit)s
""")
_COUNT = SQL(
    "SELECT count(*) FROM (SELECT FROM outbox_messages WHERE {where} LIMIT %(limit)s) AS m"
)
# What died with its digest is sent by itself.
_RESEND = SQL("""
    UPDATE outbox_messages SET status = 'WAITING', due_at = clock_timestamp(), give_up_at = NULL,
        tries = 0, ended_at = NULL, claimed_by = NULL, digest_id = NULL
    WHERE status = 'DEAD' AND {where}
""")


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the outbox has it. Times are in UTC."""

    id: UUID
    kind: MessageKind
    recipient: str
    channel: str
    execution_id: UUID | None
    ordinal: int | None
    position: int
    status: MessageStatus
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
    digest_id: UUID | None
    tries: int
    last_error: str | None

    @property
    def approval_id(self) -> ApprovalId | None:
        """The approval that it is about; None if it is about none."""
        if self.execution_id is None or self.ordinal is None:
            return None
        return ApprovalId(self.execution_id, self.ordinal)

    @property
    def place(self) -> "Place":
        """Where it is in a page."""
        return Place(self.position, self.id)


class Place(NamedTuple):
    """The place of a message in the order of pages."""

    position: int
    id: UUID


class OutboxFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages. None means any."""

    recipient: str | None = None
    channel: str | None = None
    status: Sequence[MessageStatus] | None = None
    approval: ApprovalId | None = None


class OutboxQuery:
    """Reads by ``reads``, writes by ``pool``. Raises psycopg errors or PoolTimeout."""

    def __init__(self, reads: AsyncConnectionPool, pool: AsyncConnectionPool) -> None:
        self._reads = reads
        self._pool = pool

    async def page(
        self, wanted: OutboxFilter, *, first: int, after: Place | None = None
    ) -> tuple[list[OutboxRow], bool]:
        """Return up to ``first`` messages, the newest first, and whether there are more."""
        where, params = _conditions(wanted)
        if after is not None:
            where.append(SQL("(position, id) < (%(after_position)s, %(after_id)s)"))
            params |= {"after_position": after.position, "after_id": after.id}
        statement = _PAGE.format(where=SQL(" AND ").join(where))
        async with self._reads.connection() as connection:
            cursor = connection.cursor(row_factory=kwargs_row(_row))
            await cursor.execute(statement, {**params, "limit": first + 1})
            rows = await cursor.fetchall()
        return rows[:first], len(rows) > first

    async def count(self, wanted: OutboxFilter) -> int | None:
        """Count messages. None if there are more than 10,000."""
        where, params = _conditions(wanted)
        statement = _COUNT.format(where=SQL(" AND ").join(where))
        async with self._reads.connection() as connection:
            cursor = await connection.execute(statement, {**params, "limit": COUNT_LIMIT + 1})
            row = await cursor.fetchone()
        assert row is not None
        return None if row[0] > COUNT_LIMIT else int(row[0])

    async def resend(self, ids: Sequence[UUID]) -> int:
        """Send these dead letters again, and what was in those that are digests.

        Returns how many they are. Others stay as they are.
        """
        return await self._resend(SQL("(id = ANY (%s) OR digest_id = ANY (%s))"), list(ids), 2)

    async def resend_channel(self, channel: str) -> int:
        """Send all dead letters of a channel again. Returns how many they are."""
        return await self._resend(SQL("channel = %s"), channel, 1)

    async def _resend(self, where: Composable, value: Any, times: int) -> int:
        async with self._pool.connection() as connection:
            statement = _RESEND.format(where=where)
            return (await connection.execute(statement, [value] * times)).rowcount


def _conditions(wanted: OutboxFilter) -> tuple[list[Composable], dict[str, Any]]:
    where: list[Composable] = [SQL("true")]
    params: dict[str, Any] = {}
    if wanted.recipient is not None:
        where.append(SQL("recipient = %(recipient)s"))
        params["recipient"] = normal(wanted.recipient).replace("\x00", "")
    if wanted.channel is not None:
        where.append(SQL("channel = %(channel)s"))
        params["channel"] = wanted.channel.replace("\x00", "")
    if wanted.status is not None:
        where.append(SQL("status = ANY (%(status)s)"))
        params["status"] = [str(each) for each in wanted.status]
    if wanted.approval is not None:
        where.append(SQL("execution_id = %(execution_id)s AND ordinal = %(ordinal)s"))
        params |= {
            "execution_id": wanted.approval.execution_id,
            "ordinal": wanted.approval.ordinal,
        }
    return where, params


def _row(**row: Any) -> OutboxRow:
    kind, status = MessageKind(row["kind"]), MessageStatus(row["status"])
    return OutboxRow(**{**row, "kind": kind, "status": status})
