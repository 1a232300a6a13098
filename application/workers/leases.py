"""Leases: which worker holds which executions, and until when.

A lease belongs to a worker, and one heartbeat renews it for all executions that the worker holds. A
claim is a command to the writer, so that the event Claimed and the row of the hold are one commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.command_handling.outcomes import Accepted, Outcome, Refused, UnavailableError
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.event_store.reader import Reader
from domain.execution.commands import ClaimExecution
from domain.execution.state import Execution
from domain.refusals import RefusalCode
from domain.values import Principal

_RENEW = """
    INSERT INTO worker_leases (owner, worker, expires_at)
    VALUES (%s, %s, clock_timestamp() + %s)
    ON CONFLICT (owner, worker) DO UPDATE SET expires_at = EXCLUDED.expires_at
    RETURNING expires_at
"""
_TAKE_OVER = """
    INSERT INTO worker_leases (owner, worker, expires_at, stream)
    VALUES (%s, %s, clock_timestamp() + %s, %s)
    ON CONFLICT (owner, worker) DO UPDATE
    SET expires_at = EXCLUDED.expires_at, stream = EXCLUDED.stream
    RETURNING expires_at
"""
_KEEP = """
    UPDATE worker_leases SET expires_at = clock_timestamp() + %s
    WHERE owner = %s AND worker = %s AND stream = %s
    RETURNING expires_at
"""
# Not if the lease was renewed meanwhile, because then the worker is alive.
_SHORTEN = """
    UPDATE worker_leases SET expires_at = clock_timestamp() + %(grace)s
    WHERE owner = %(owner)s AND worker = %(worker)s AND expires_at = %(expires_at)s
        AND expires_at > clock_timestamp() + %(grace)s
    RETURNING 1
"""
# First the executions of dead workers, then those that have waited longest. So all get their turn.
_CANDIDATES = """
    SELECT execution_id, queue FROM (
        (SELECT h.execution_id, h.queue, 0 AS free, h.sequence FROM worker_leases AS l
         JOIN execution_holds AS h USING (owner, worker)
         WHERE l.expires_at <= clock_timestamp() AND h.worker IS NOT NULL
            AND h.queue = ANY (%(queues)s) AND h.execution_id <> ALL (%(exclude)s::uuid[])
         LIMIT %(limit)s)
        UNION ALL
        (SELECT h.execution_id, h.queue, 1, h.sequence
         FROM unnest(%(queues)s::text[]) AS wanted (queue) CROSS JOIN LATERAL (
            SELECT execution_id, queue, sequence FROM execution_holds
            WHERE queue = wanted.queue AND worker IS NULL
                AND (progress OR woken_version > released_version)
                AND execution_id <> ALL (%(exclude)s::uuid[])
            ORDER BY sequence LIMIT %(limit)s
         ) AS h)
    ) AS found ORDER BY free, sequence LIMIT %(limit)s
"""
_CLAIMABLE = """
    SELECT execution_id, queue FROM execution_holds
    WHERE execution_id = ANY (%s) AND worker IS NULL
        AND (progress OR woken_version > released_version)
"""
_HELD = "SELECT execution_id FROM execution_holds WHERE owner = %s AND worker = %s"
_WOKEN = "SELECT execution_id, woken_version FROM execution_holds WHERE owner = %s AND worker = %s"
_COUNT = "SELECT count(*) FROM execution_holds WHERE owner = %s AND worker = %s"
# An execution that the worker has claimed again meanwhile is not lost.
_LOST = """
    DELETE FROM lost_holds AS l WHERE owner = %s AND worker = %s
    RETURNING execution_id, EXISTS (
        SELECT FROM execution_holds AS h
        WHERE (h.execution_id, h.owner, h.worker) = (l.execution_id, l.owner, l.worker)
    )
"""
_RELEASE = "SELECT release_holds_v1(%(owner)s, %(worker)s, %(ids)s)"
_RELEASE_AT = """
    SELECT release_holds_at_v1(
        %(owner)s, %(worker)s, %(ids)s, %(seen)s, %(fences)s, %(unfinished)s, %(others)s
    )
"""
_NEXT_EXPIRY = """
    SELECT extract(epoch FROM min(expires_at) - clock_timestamp())::float8 FROM worker_leases AS l
    WHERE expires_at > clock_timestamp() AND EXISTS (
        SELECT FROM execution_holds AS h WHERE (h.owner, h.worker) = (l.owner, l.worker)
    )
"""
_DELETE_EXPIRED = """
    DELETE FROM worker_leases AS l
    WHERE expires_at < clock_timestamp() - interval '1 hour' AND NOT EXISTS (
        SELECT FROM execution_holds AS h WHERE (h.owner, h.worker) = (l.owner, l.worker)
    )
"""
_DELETE_LOST = """
    DELETE FROM lost_holds AS l WHERE NOT EXISTS (
        SELECT FROM worker_leases AS w WHERE (w.owner, w.worker) = (l.owner, l.worker)
    )
"""

# Lower than every woken version, also that of an execution that was never woken.
UNFINISHED = -1
# How often to look for candidates, because another process may claim those that were found.
CLAIM_ATTEMPTS = 5


class Grant(msgspec.Struct, frozen=True):
    """An execution that a worker holds, with the fence of the claim."""

    execution: Execution
    fence: int
    lease_expires_at: datetime


class Heartbeat(msgspec.Struct, frozen=True):
    """The answer to a heartbeat.

    ``executions`` is how many the worker holds. ``lost`` has those that another worker has claimed
    since the last heartbeat.
    """

    worker: str
    lease_expires_at: datetime
    executions: int
    lost: tuple[UUID, ...]


class OverloadedError(Exception):
    """The writer's queue is full. Nothing was claimed."""


class Leases:
    """Claims, heartbeats and releases. Raises psycopg errors if the database is unavailable."""

    def __init__(self, pool: AsyncConnectionPool, writer: Writer, reader: Reader) -> None:
        self._pool = pool
        self._writer = writer
        self._reader = reader

    async def claim(
        self,
        principal: Principal,
        worker: str,
        queues: Sequence[str],
        limit: int,
        lease: timedelta,
        trace: str | None = None,
    ) -> list[Grant]:
        """Claim up to ``limit`` executions of these queues, and renew the lease.

        Raises UnavailableError or OverloadedError.
        """
        expires_at = await self.renew(principal.id, worker, lease)
        claimed: list[Execution] = []
        tried: set[UUID] = set()
        for _ in range(CLAIM_ATTEMPTS):
            wanted = limit - len(claimed)
            found = await self.candidates(queues, wanted, tried) if wanted else []
            if not found:
                break
            ids = [execution_id for execution_id, _ in found]
            tried.update(ids)
            try:
                outcomes = await self.claim_these(principal, worker, ids, trace)
            except OverloadedError:
                if claimed:
                    break
                raise
            except UnavailableError:
                # Return what was claimed, or nobody would work on it until the lease ends.
                claimed += await self._held_of(principal.id, worker, ids)
                if claimed:
                    break
                raise
            claimed += [o.execution for o in outcomes if isinstance(o, Accepted)]
        return [Grant(execution, execution.fence, expires_at) for execution in claimed]

    async def _held_of(self, owner: str, worker: str, ids: Sequence[UUID]) -> list[Execution]:
        """Return those of these executions that the worker holds, by the database."""
        held = set(await self.held(owner, worker))
        found = [await self._reader.execution(id_) for id_ in ids if id_ in held]
        return [execution for execution in found if execution is not None]

    async def claim_these(
        self, principal: Principal, worker: str, ids: Sequence[UUID], trace: str | None = None
    ) -> list[Outcome]:
        """Send a claim for each. A refusal means that another worker was first.

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
        """Renew the lease, and return what was lost, each execution once."""
        return await self._heartbeat(
            principal, worker, await self.renew(principal.id, worker, lease)
        )

    async def keep(
        self, principal: Principal, worker: str, lease: timedelta, stream: UUID
    ) -> Heartbeat | None:
        """Renew the lease like a heartbeat. None if another stream renews it now."""
        kept = await self._rows(_KEEP, (lease, principal.id, worker, stream))
        return await self._heartbeat(principal, worker, _moment(kept)) if kept else None

    async def _heartbeat(
        self, principal: Principal, worker: str, expires_at: datetime
    ) -> Heartbeat:
        async with self._pool.connection() as connection:
            count = await (await connection.execute(_COUNT, (principal.id, worker))).fetchall()
            lost = await (await connection.execute(_LOST, (principal.id, worker))).fetchall()
        return Heartbeat(
            worker, expires_at, count[0][0], tuple(id_ for id_, back in lost if not back)
        )

    async def release(
        self, principal: Principal, worker: str, execution_ids: Sequence[UUID] | None
    ) -> list[UUID]:
        """Release those of these executions that the worker holds, or all if None. Returns them."""
        params = {
            "owner": principal.id,
            "worker": worker,
            "ids": None if execution_ids is None else list(execution_ids),
        }
        return [row[0] for row in await self._rows(_RELEASE, params)]

    async def release_at(
        self,
        principal: Principal,
        worker: str,
        seen: Mapping[UUID, int | None],
        *,
        fences: Mapping[UUID, int | None] | None = None,
        others: bool = False,
    ) -> list[UUID]:
        """Release executions, each with the last woken version that the worker has seen.

        An execution can be claimed again at once if it was woken after that version, or if the
        version is None, which means that there is work left. ``fences`` has the fences of the
        claims to release, so that a repeated release does not end a later claim. None releases any.
        ``others``: also release everything else that the worker holds, including later claims, as
        if there were work left. Returns the released executions.
        """
        known = fences or {}
        params = {
            "owner": principal.id,
            "worker": worker,
            "ids": list(seen),
            "seen": list(seen.values()),
            "fences": [known.get(id_) for id_ in seen],
            "unfinished": UNFINISHED,
            "others": others,
        }
        return [row[0] for row in await self._rows(_RELEASE_AT, params)]

    async def renew(self, owner: str, worker: str, lease: timedelta) -> datetime:
        """Let the worker's lease end after this time from now. Returns its end, in UTC."""
        return _moment(await self._rows(_RENEW, (owner, worker, lease)))

    async def take_over(
        self, owner: str, worker: str, lease: timedelta, stream: UUID | None
    ) -> datetime:
        """Renew the lease, and let this stream renew it from now on. None: no stream, it polls.

        The stream before finds out at its next :meth:`keep`. Returns the end of the lease, in UTC.
        """
        return _moment(await self._rows(_TAKE_OVER, (owner, worker, lease, stream)))

    async def shorten(
        self, owner: str, worker: str, expires_at: datetime, grace: timedelta
    ) -> bool:
        """Let the lease end after ``grace`` if that is sooner. Returns whether it was.

        Does nothing if the lease no longer ends at ``expires_at``, because then it was renewed.
        """
        params = {
            "owner": owner,
            "worker": worker,
            "expires_at": expires_at,
            "grace": grace,
        }
        return bool(await self._rows(_SHORTEN, params))

    async def candidates(
        self, queues: Sequence[str], limit: int, exclude: Iterable[UUID] = ()
    ) -> list[tuple[UUID, str]]:
        """Return executions that can probably be claimed, with their queues.

        Those in ``exclude`` are left out.
        """
        params = {"queues": list(queues), "limit": limit, "exclude": list(exclude)}
        return [(row[0], row[1]) for row in await self._rows(_CANDIDATES, params)]

    async def claimable(self, ids: Sequence[UUID]) -> list[tuple[UUID, str]]:
        """Return those that no worker holds and that have work to do, with their queues."""
        return [(row[0], row[1]) for row in await self._rows(_CLAIMABLE, (list(ids),))]

    async def held(self, owner: str, worker: str) -> list[UUID]:
        """Return the executions that the worker holds."""
        return [row[0] for row in await self._rows(_HELD, (owner, worker))]

    async def woken_versions(self, owner: str, worker: str) -> dict[UUID, int]:
        """Return the executions that the worker holds, with their woken versions."""
        return dict(await self._rows(_WOKEN, (owner, worker)))

    async def next_expiry(self) -> float | None:
        """Return the seconds until the next lease of a worker with executions ends, if any.

        The lease is usually renewed before that.
        """
        [[seconds]] = await self._rows(_NEXT_EXPIRY, ())
        return None if seconds is None else float(seconds)

    async def delete_expired(self) -> None:
        """Delete leases without executions that ended an hour ago, and their lost holds."""
        async with self._pool.connection() as connection:
            await connection.execute(_DELETE_EXPIRED)
            await connection.execute(_DELETE_LOST)

    async def _rows(self, statement: LiteralString, params: Any) -> list[Any]:
        connection: AsyncConnection[Any]
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, params, prepare=True)
            return await cursor.fetchall()


def _moment(rows: Sequence[Any]) -> datetime:
    [[moment]] = rows
    assert isinstance(moment, datetime)
    return moment.astimezone(UTC)
