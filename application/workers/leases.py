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
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from application.command_handling.outcomes import Accepted, Outcome, Refused, UnavailableError
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.event_store.chained_events import LoggedEvent
from application.event_store.clock_guard import ClockGuard
from application.event_store.reader import Reader
from application.workers import lease_statements
from application.workers.known_workflows import Candidate, KnownWorkflows
from domain.execution.commands import ClaimExecution
from domain.execution.state import Execution
from domain.refusals import RefusalCode
from domain.values import Principal

# Lower than every woken version, also that of an execution that was never woken.
UNFINISHED = -1
# How often to look for candidates, because another process may claim those that were found.
CLAIM_ATTEMPTS = 5


class Grant(msgspec.Struct, frozen=True):
    """An execution that a worker holds, with the fence of the claim.

    ``history``: its events up to the version of the execution, if they were read.
    """

    execution: Execution
    fence: int
    lease_expires_at: datetime
    history: Sequence[LoggedEvent] | None = None


class Heartbeat(msgspec.Struct, frozen=True):
    """The answer to a heartbeat.

    ``executions`` is how many the worker holds. ``lost`` has those that another worker has claimed
    since the last heartbeat.
    """

    worker: str
    lease_expires_at: datetime
    executions: int
    lost: tuple[UUID, ...]


_TOLERANCE = timedelta(seconds=5)
"""By how much the database's clock may be set while leases go on as if it were not."""


class OverloadedError(Exception):
    """The writer's queue is full. Nothing was claimed."""


class Leases:
    """Claims, heartbeats and releases. Raises psycopg errors if the database is unavailable."""

    def __init__(self, pool: AsyncConnectionPool, writer: Writer, reader: Reader) -> None:
        self._pool = pool
        self._writer = writer
        self._reader = reader
        self._guard = ClockGuard(_TOLERANCE)

    async def claim(
        self,
        principal: Principal,
        worker: str,
        queues: Sequence[str],
        limit: int,
        lease: timedelta,
        trace: str | None = None,
        *,
        known: KnownWorkflows | None = None,
    ) -> list[Grant]:
        """Claim up to ``limit`` executions of these queues, and renew the lease.

        ``known``: the workflows that the worker knows; None: all. Raises UnavailableError or
        OverloadedError.
        """
        expires_at = await self.renew(principal.id, worker, lease, queues, known)
        claimed: list[Execution] = []
        tried: set[UUID] = set()
        for _ in range(CLAIM_ATTEMPTS):
            wanted = limit - len(claimed)
            found = await self.candidates(queues, wanted, tried, known) if wanted else []
            if not found:
                break
            ids = [each.execution_id for each in found]
            tried.update(ids)
            try:
                outcomes = await self.claim_these(principal, worker, found, trace, known=known)
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
        self,
        principal: Principal,
        worker: str,
        candidates: Sequence[Candidate],
        trace: str | None = None,
        *,
        known: KnownWorkflows | None = None,
    ) -> list[Outcome]:
        """Send a claim for each. A refusal means that another worker was first.

        Raises UnavailableError or OverloadedError.
        """
        outcomes = await self._writer.handle(
            [
                Request(
                    command=ClaimExecution(
                        by=principal,
                        execution_id=each.execution_id,
                        worker=worker,
                        cleans_up=known is not None and known.cleans_up(each),
                    ),
                    command_id=uuid4(),
                    trace=trace,
                )
                for each in candidates
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
        kept = await self._rows(lease_statements.KEEP, (lease, principal.id, worker, stream))
        return await self._heartbeat(principal, worker, _moment(kept)) if kept else None

    async def _heartbeat(
        self, principal: Principal, worker: str, expires_at: datetime
    ) -> Heartbeat:
        async with self._pool.connection() as connection:
            count = await (
                await connection.execute(lease_statements.COUNT, (principal.id, worker))
            ).fetchall()
            lost = await (
                await connection.execute(lease_statements.LOST, (principal.id, worker))
            ).fetchall()
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
        return [row[0] for row in await self._rows(lease_statements.RELEASE, params)]

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
        return [row[0] for row in await self._rows(lease_statements.RELEASE_AT, params)]

    async def renew(
        self,
        owner: str,
        worker: str,
        lease: timedelta,
        queues: Sequence[str] | None = None,
        known: KnownWorkflows | None = None,
    ) -> datetime:
        """Let the worker's lease end after this time from now. Returns its end, in UTC.

        With ``queues``, it is also noted what the worker takes.
        """
        if queues is None:
            rows = await self._rows(lease_statements.HEARTBEAT, (owner, worker, lease))
        else:
            params = (owner, worker, list(queues), _pairs(known), lease)
            rows = await self._rows(lease_statements.RENEW, params)
        expires_at = _moment(rows)
        self._guard.trusts(expires_at - lease)
        return expires_at

    async def take_over(
        self,
        owner: str,
        worker: str,
        lease: timedelta,
        stream: UUID | None,
        queues: Sequence[str],
        known: KnownWorkflows | None,
    ) -> datetime:
        """Renew the lease, and let this stream renew it from now on. None: no stream, it polls.

        Also notes what the worker takes. The stream before finds out at its next :meth:`keep`.
        Returns the end of the lease, in UTC.
        """
        params = (owner, worker, list(queues), _pairs(known), stream, lease)
        return _moment(await self._rows(lease_statements.TAKE_OVER, params))

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
        return bool(await self._rows(lease_statements.SHORTEN, params))

    async def candidates(
        self,
        queues: Sequence[str],
        limit: int,
        exclude: Iterable[UUID] = (),
        known: KnownWorkflows | None = None,
    ) -> list[Candidate]:
        """Return executions that can probably be claimed, by a worker that knows these workflows.

        Those in ``exclude`` are left out. ``known`` None: the worker knows all.
        """
        named, versions = ([], []) if known is None else known.versions
        params = {
            "queues": list(queues),
            "limit": limit,
            "exclude": list(exclude),
            "all": known is None,
            "names": [] if known is None else known.of_any_version,
            "named": named,
            "versions": versions,
        }
        rows = await self._rows(lease_statements.CANDIDATES, params)
        if not rows:
            return []
        # While the clock is wrong, all leases may seem to be over.
        trusted = self._guard.trusts(rows[0][-1])
        return [Candidate(*each) for *each, dead, _ in rows if trusted or not dead]

    async def claimable(self, ids: Sequence[UUID]) -> list[Candidate]:
        """Return those that no worker holds and that have work to do."""
        return [
            Candidate(*row) for row in await self._rows(lease_statements.CLAIMABLE, (list(ids),))
        ]

    async def parked(self, ids: Sequence[UUID]) -> list[UUID]:
        """Return those of these executions, which a worker held before, that are parked."""
        return [row[0] for row in await self._rows(lease_statements.PARKED, (list(ids),))]

    async def held(self, owner: str, worker: str) -> list[UUID]:
        """Return the executions that the worker holds."""
        return [row[0] for row in await self._rows(lease_statements.HELD, (owner, worker))]

    async def woken_versions(self, owner: str, worker: str) -> dict[UUID, int]:
        """Return the executions that the worker holds, with their woken versions."""
        return dict(await self._rows(lease_statements.WOKEN, (owner, worker)))

    async def next_expiry(self) -> float | None:
        """Return the seconds until the next lease of a worker with executions ends, if any.

        The lease is usually renewed before that.
        """
        [[seconds, now]] = await self._rows(lease_statements.NEXT_EXPIRY, ())
        self._guard.trusts(now)
        return None if seconds is None else float(seconds)

    async def delete_expired(self) -> None:
        """Delete leases without executions that ended an hour ago, and their lost holds."""
        async with self._pool.connection() as connection:
            await connection.execute(lease_statements.DELETE_EXPIRED)
            await connection.execute(lease_statements.DELETE_LOST)

    async def _rows(self, statement: LiteralString, params: Any) -> list[Any]:
        connection: AsyncConnection[Any]
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, params, prepare=True)
            return await cursor.fetchall()


def _pairs(known: KnownWorkflows | None) -> Jsonb | None:
    return None if known is None else Jsonb(known.pairs)


def _moment(rows: Sequence[Any]) -> datetime:
    [[moment]] = rows
    assert isinstance(moment, datetime)
    return moment.astimezone(UTC)
