"""Leases: which worker holds what, and for how long.

A lease belongs to a worker, and one heartbeat keeps all that it holds. A claim is decided by the
writer, so that the Claimed event and the row of who holds what are one commit.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.outcomes import Accepted, Outcome, Refused, UnavailableError
from application.recorder import lock_statement
from application.requests import Request
from application.writer import Writer
from domain.commands import ClaimExecution
from domain.errors import RefusalCode
from domain.state import Execution
from domain.values import Principal

_RENEW = """
    INSERT INTO worker_leases (owner, worker, expires_at)
    VALUES (%s, %s, clock_timestamp() + %s)
    ON CONFLICT (owner, worker) DO UPDATE SET expires_at = EXCLUDED.expires_at
    RETURNING expires_at
"""
_CANDIDATES = """
    (SELECT execution_id FROM execution_holds
     WHERE queue = ANY (%(queues)s) AND worker IS NULL
        AND (progress OR resolved_version > released_version)
     LIMIT %(limit)s)
    UNION ALL
    (SELECT h.execution_id FROM worker_leases AS l
     JOIN execution_holds AS h USING (owner, worker)
     WHERE l.expires_at <= clock_timestamp() AND h.worker IS NOT NULL
        AND h.queue = ANY (%(queues)s)
     LIMIT %(limit)s)
    LIMIT %(limit)s
"""
_CLAIMABLE = """
    SELECT execution_id FROM execution_holds
    WHERE execution_id = ANY (%s) AND worker IS NULL
        AND (progress OR resolved_version > released_version)
"""
_HELD = "SELECT execution_id FROM execution_holds WHERE owner = %s AND worker = %s"
_COUNT = "SELECT count(*) FROM execution_holds WHERE owner = %s AND worker = %s"
_LOST = "DELETE FROM lost_holds WHERE owner = %s AND worker = %s RETURNING execution_id"
_RELEASE = """
    UPDATE execution_holds SET owner = NULL, worker = NULL, released_version = resolved_version
    WHERE owner = %(owner)s AND worker = %(worker)s
        AND (%(ids)s::uuid[] IS NULL OR execution_id = ANY (%(ids)s))
    RETURNING execution_id
"""
_FORGET = """
    DELETE FROM worker_leases AS l
    WHERE expires_at < clock_timestamp() - interval '1 day' AND NOT EXISTS (
        SELECT FROM execution_holds AS h WHERE (h.owner, h.worker) = (l.owner, l.worker)
    )
"""

# Another process may take what was found free; this often it is looked for anew.
ROUNDS = 5


class Grant(msgspec.Struct, frozen=True):
    """An execution that a worker holds, under this fencing token."""

    execution: Execution
    fence: int
    lease_expires_at: datetime


class Heartbeat(msgspec.Struct, frozen=True):
    """``executions`` is the number held, ``lost`` what another took since the last heartbeat."""

    worker: str
    lease_expires_at: datetime
    executions: int
    lost: tuple[UUID, ...]


class OverloadedError(Exception):
    """The writer's queue is full. Nothing was claimed."""


class Leases:
    """Claims, heartbeats and releases. Raises psycopg errors if the database is away."""

    def __init__(self, pool: AsyncConnectionPool, writer: Writer) -> None:
        self._pool = pool
        self._writer = writer

    async def claim(
        self,
        principal: Principal,
        worker: str,
        queues: Sequence[str],
        limit: int,
        lease: timedelta,
        trace: str | None = None,
    ) -> list[Grant]:
        """Claim up to ``limit`` executions that can be claimed in these queues, renewing the lease.

        Raises UnavailableError or OverloadedError.
        """
        expires_at = await self.renew(principal.id, worker, lease)
        grants: list[Grant] = []
        for _ in range(ROUNDS):
            wanted = limit - len(grants)
            found = await self.candidates(queues, wanted) if wanted else []
            if not found:
                break
            outcomes = await self.claim_these(principal, worker, found, trace)
            grants += [
                Grant(outcome.execution, outcome.execution.fence, expires_at)
                for outcome in outcomes
                if isinstance(outcome, Accepted)
            ]
        return grants

    async def claim_these(
        self, principal: Principal, worker: str, ids: Sequence[UUID], trace: str | None = None
    ) -> list[Outcome]:
        """Ask for a claim of each. A refusal means that another was quicker.

        Raises UnavailableError or OverloadedError.
        """
        outcomes = await self._writer.handle(
            [
                Request(
                    command=ClaimExecution(by=principal, execution_id=id_, worker=worker),
                    command_id=uuid4(),
                    trace=trace,
                )
                for id_ in ids
            ]
        )
        for outcome in outcomes:
            if isinstance(outcome, Refused) and outcome.code is RefusalCode.OVERLOADED:
                raise OverloadedError(outcome.message)
            if isinstance(outcome, Refused) and outcome.code is RefusalCode.OUTCOME_UNKNOWN:
                raise UnavailableError(outcome.message)
            if isinstance(outcome, UnavailableError):
                raise outcome
        return outcomes

    async def heartbeat(self, principal: Principal, worker: str, lease: timedelta) -> Heartbeat:
        """Renew the lease, and tell once what was lost."""
        expires_at = await self.renew(principal.id, worker, lease)
        async with self._pool.connection() as connection:
            count = await (await connection.execute(_COUNT, (principal.id, worker))).fetchall()
            lost = await (await connection.execute(_LOST, (principal.id, worker))).fetchall()
        return Heartbeat(worker, expires_at, count[0][0], tuple(row[0] for row in lost))

    async def release(
        self, principal: Principal, worker: str, execution_ids: Sequence[UUID] | None
    ) -> list[UUID]:
        """Give back what the worker holds of these, or all (None). Says what was given back."""
        params = {
            "owner": principal.id,
            "worker": worker,
            "ids": None if execution_ids is None else list(execution_ids),
        }
        async with self._pool.connection() as connection, connection.transaction():
            # Under the log's lock nothing is resolved or claimed meanwhile.
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            await connection.execute(lock_statement())
            rows = await (await connection.execute(_RELEASE, params)).fetchall()
        return [row[0] for row in rows]

    async def renew(self, owner: str, worker: str, lease: timedelta) -> datetime:
        """Let the worker's lease run for this long from now. Gives its end, in UTC."""
        [row] = await self._rows(_RENEW, (owner, worker, lease))
        expires_at: datetime = row[0]
        return expires_at.astimezone(UTC)

    async def candidates(self, queues: Sequence[str], limit: int) -> list[UUID]:
        """Give executions that can be claimed at this moment, as it seems."""
        rows = await self._rows(_CANDIDATES, {"queues": list(queues), "limit": limit})
        return [row[0] for row in rows]

    async def claimable(self, ids: Sequence[UUID]) -> list[UUID]:
        """Give those of these that nobody holds and that there is something to do on."""
        return [row[0] for row in await self._rows(_CLAIMABLE, (list(ids),))]

    async def held(self, owner: str, worker: str) -> list[UUID]:
        """Give the executions that the worker holds."""
        return [row[0] for row in await self._rows(_HELD, (owner, worker))]

    async def forget(self) -> None:
        """Delete leases that ran out long ago and hold nothing."""
        async with self._pool.connection() as connection:
            await connection.execute(_FORGET)

    async def _rows(self, statement: str, params: Any) -> list[Any]:
        connection: AsyncConnection[Any]
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, params, prepare=True)
            return await cursor.fetchall()
