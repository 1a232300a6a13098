"""Claims by long polling: a poll is answered as soon as there is something to report."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog

from application.event_store.chained_events import DAMAGE, LoggedEvent
from application.event_store.reader import Reader
from application.subscriptions.event_tail import EventTail
from application.workers.claim_scheduler import CLAIMABLE_AFTER
from application.workers.known_workflows import KnownWorkflows
from application.workers.leases import Grant, Leases
from application.workers.transcripts import with_transcripts
from domain.values import Principal

_log = structlog.get_logger(__name__)

CHECK_EVERY = 1.0
# So that a busy log does not make every poll query the database all the time.
MIN_CHECK_INTERVAL = 0.01
MAX_WAKE_UPS = 500


class PollResult(NamedTuple):
    """``lost``: executions that the worker believes it holds, and no longer holds.

    ``parked``: those of them that were parked.
    """

    grants: list[Grant]
    lost: list[UUID]
    parked: list[UUID]


class LongPolling:
    """Answers polls. Raises psycopg errors if the database is unavailable."""

    def __init__(self, leases: Leases, reader: Reader, tail: EventTail) -> None:
        self._leases = leases
        self._reader = reader
        self._tail = tail

    async def claim(
        self,
        principal: Principal,
        worker: str,
        queues: Sequence[str],
        limit: int,
        lease: timedelta,
        *,
        wait: timedelta,
        holding: Mapping[UUID, int | None] | None,
        trace: str | None = None,
        known: KnownWorkflows | None = None,
        transcripts: bool = False,
    ) -> PollResult:
        """Claim up to ``limit`` executions. Waits for the first of them, and renews the lease.

        ``holding`` has the executions that the worker believes it holds, with the woken version
        that it has seen, None if it does not wait for the execution. The answer has these among the
        grants: executions that were woken since, and executions that the worker holds but does not
        name, because an earlier answer was lost. Those that it no longer holds are ``lost``.

        Woken executions do not count towards the limit, so a worker without capacity can poll with
        a limit of 0. ``known``: the workflows that the worker knows; None: all. ``transcripts``:
        the grants come with the histories of their executions. A server that is ending answers at
        once. Raises UnavailableError or OverloadedError.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + wait.total_seconds()
        third = lease.total_seconds() / 3
        if holding is None:
            expires_at = await self._leases.renew(principal.id, worker, lease, queues, known)
        else:
            # A worker that polls no longer uses a stream, so one that is still open ends.
            expires_at = await self._leases.take_over(
                principal.id, worker, lease, None, queues, known
            )
        renewed_at = clock()
        while True:
            # Read before the database is queried, so that no event is missed in between.
            position = self._tail.position
            wake_ups, grants, lost = await self._changes(
                principal.id, worker, limit, holding, expires_at
            )
            wanted = limit - len(grants)
            if wanted and await self._leases.candidates(queues, 1, known=known):
                grants += await self._leases.claim(
                    principal, worker, queues, wanted, lease, trace, known=known
                )
            left = until - clock()
            if wake_ups or grants or lost or left <= 0 or self._tail.draining:
                parked = await self._leases.parked(lost) if lost else []
                grants = wake_ups + grants
                if transcripts:
                    grants = await with_transcripts(self._reader, grants)
                return PollResult(grants, lost, parked)
            longest = min(left, CHECK_EVERY, third)
            await self._tail.wait_for(_may_be_claimable, after=position, seconds=longest)
            await asyncio.sleep(MIN_CHECK_INTERVAL)
            if clock() - renewed_at >= third:
                expires_at = await self._leases.renew(principal.id, worker, lease, queues, known)
                renewed_at = clock()

    async def _changes(
        self,
        owner: str,
        worker: str,
        limit: int,
        holding: Mapping[UUID, int | None] | None,
        expires_at: datetime,
    ) -> tuple[list[Grant], list[Grant], list[UUID]]:
        """Return woken executions, those that the worker does not name, and the lost ones."""
        if holding is None:
            return [], [], []
        held = await self._leases.woken_versions(owner, worker)
        wake_ups = [id_ for id_, woken in held.items() if _woke_since(holding, id_, woken)]
        unknown = [id_ for id_ in held if id_ not in holding]
        return (
            await self._grants(wake_ups[:MAX_WAKE_UPS], expires_at),
            await self._grants(unknown[:limit], expires_at),
            [id_ for id_ in holding if id_ not in held],
        )

    async def _grants(self, ids: Sequence[UUID], expires_at: datetime) -> list[Grant]:
        grants: list[Grant] = []
        for id_ in ids:
            try:
                execution = await self._reader.execution(id_)
            except DAMAGE as error:
                # No worker can work on it, and the others must not wait for it.
                _log.error("held_execution_damaged", id=str(id_), error=str(error))
                continue
            if execution is not None and not execution.state.final:
                grants.append(Grant(execution, execution.fence, expires_at))
        return grants


def _woke_since(holding: Mapping[UUID, int | None], id_: UUID, woken: int) -> bool:
    seen = holding.get(id_)
    return seen is not None and woken > seen


def _may_be_claimable(event: LoggedEvent) -> bool:
    return isinstance(event.recorded.event, CLAIMABLE_AFTER)
