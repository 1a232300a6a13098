"""Leases: which worker holds what, and for how long.

A lease belongs to a worker, and one heartbeat keeps all that it holds. A claim is decided by the
writer, so that the Claimed event and the row of who holds what are one commit.
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
# Whoever renewed it meanwhile is alive.
_SHORTEN = """
    UPDATE worker_leases SET expires_at = clock_timestamp() + %(grace)s
    WHERE owner = %(owner)s AND worker = %(worker)s AND expires_at = %(expires_at)s
        AND expires_at > clock_timestamp() + %(grace)s
    RETURNING 1
"""
# What a dead worker held goes first, then what has been free for longest: nothing is left behind.
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
# What the worker has got back meanwhile is not lost any more.
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

# Below every version that a wake-up may have, also that of an execution to which none came.
UNFINISHED = -1
# Another process may take what was found free; this often it is looked for anew.
CLAIM_ATTEMPTS = 5


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
        """Claim up to ``limit`` executions that can be claimed in these queues, renewing the lease.

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
                # What was claimed must be told, or nobody works on it while the lease is kept.
                claimed += await self._held_of(principal.id, worker, ids)
                if claimed:
                    break
                raise
            claimed += [o.execution for o in outcomes if isinstance(o, Accepted)]
        return [Grant(execution, execution.fence, expires_at) for execution in claimed]

    async def _held_of(self, owner: str, worker: str, ids: Sequence[UUID]) -> list[Execution]:
        """Give those of these executions that the worker holds, whoever said so."""
        held = set(await self.held(owner, worker))
        found = [await self._reader.execution(id_) for id_ in ids if id_ in held]
        return [execution for execution in found if execution is not None]

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
        return await self._heartbeat(
            principal, worker, await self.renew(principal.id, worker, lease)
        )

    async def keep(
        self, principal: Principal, worker: str, lease: timedelta, stream: UUID
    ) -> Heartbeat | None:
        """Renew the lease as a heartbeat does, if it is this stream that keeps it, else None."""
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
        """Give back what the worker holds of these, or all (None). Says what was given back."""
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
        """Give back these, each with the version of the last wake-up that the worker dealt with.

        What came after that, or None, which says that there is work left, lets another claim it at
        once. ``fences``: of each the fence of the claim that is meant, so that a repeated release
        leaves a later claim alone; None: whatever claim it is. ``others``: also give back all else
        that it holds, such later claims too, as if there were work left. Says what was given back.
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
        """Let the worker's lease run for this long from now. Gives its end, in UTC."""
        return _moment(await self._rows(_RENEW, (owner, worker, lease)))

    async def take_over(
        self, owner: str, worker: str, lease: timedelta, stream: UUID | None
    ) -> datetime:
        """Renew the lease, and let this stream keep it from now on; None: none, the worker asks.

        One that kept it before is told so when it next wants to. Gives the lease's end, in UTC.
        """
        return _moment(await self._rows(_TAKE_OVER, (owner, worker, lease, stream)))

    async def shorten(
        self, owner: str, worker: str, expires_at: datetime, grace: timedelta
    ) -> bool:
        """Let the lease end after ``grace`` if that is sooner, and say whether it was.

        Only if it still ends at ``expires_at``, so that nobody has renewed it since.
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
        """Give executions that can be claimed at this moment, as it seems, with their queues.

        ``exclude``: leave these out.
        """
        params = {"queues": list(queues), "limit": limit, "exclude": list(exclude)}
        return [(row[0], row[1]) for row in await self._rows(_CANDIDATES, params)]

    async def claimable(self, ids: Sequence[UUID]) -> list[tuple[UUID, str]]:
        """Give those that nobody holds and that there is something to do on, with their queues."""
        return [(row[0], row[1]) for row in await self._rows(_CLAIMABLE, (list(ids),))]

    async def held(self, owner: str, worker: str) -> list[UUID]:
        """Give the executions that the worker holds."""
        return [row[0] for row in await self._rows(_HELD, (owner, worker))]

    async def woken_versions(self, owner: str, worker: str) -> dict[UUID, int]:
        """Give what the worker holds, with the version of the last wake-up of each."""
        return dict(await self._rows(_WOKEN, (owner, worker)))

    async def next_expiry(self) -> float | None:
        """Give the seconds until the first lease of what is held runs out, None if there is none.

        As a rule it is renewed before that.
        """
        [[seconds]] = await self._rows(_NEXT_EXPIRY, ())
        return None if seconds is None else float(seconds)

    async def delete_expired(self) -> None:
        """Delete leases that ran out an hour ago and hold nothing, and what such workers lost."""
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
