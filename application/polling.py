"""Claims of workers that poll: each is answered as soon as there is something to say."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from application.assignments import FREEING
from application.leases import Grant, Leases
from application.reader import Reader
from application.records import DAMAGE, Logged
from application.tail import Tail
from domain.values import Principal

LOOK_EVERY = 1.0
# A busy log must not make every poll look all the time.
LOOK_AT_MOST_EVERY = 0.01


class Poll(NamedTuple):
    """``lost``: what the worker takes for its own, and is not any more."""

    grants: list[Grant]
    lost: list[UUID]


class Polling:
    """One for a process. Raises psycopg errors if the database is away."""

    def __init__(self, leases: Leases, reader: Reader, tail: Tail) -> None:
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
        holding: Collection[UUID] | None,
        trace: str | None = None,
    ) -> Poll:
        """Claim up to ``limit`` executions, waiting for the first of them; keeps the lease.

        ``holding``: what the worker knows that it holds. What else it holds, because an answer
        was lost, is given like a claim, and what it holds no longer is ``lost``. A server that is
        ending answers at once. Raises UnavailableError or OverloadedError.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + wait.total_seconds()
        while True:
            # Fixed before it is looked, so that nothing falls between the two.
            position = self._tail.position
            told = await self._told(principal, worker, queues, limit, lease, holding, trace)
            left = until - clock()
            if told.grants or told.lost or left <= 0 or self._tail.draining:
                return told
            longest = min(left, LOOK_EVERY, lease.total_seconds() / 3)
            await self._tail.happens(_frees, after=position, seconds=longest)
            await asyncio.sleep(LOOK_AT_MOST_EVERY)

    async def _told(
        self,
        principal: Principal,
        worker: str,
        queues: Sequence[str],
        limit: int,
        lease: timedelta,
        holding: Collection[UUID] | None,
        trace: str | None,
    ) -> Poll:
        grants: list[Grant] = []
        if holding is not None:
            grants = await self._unknown(principal, worker, limit, lease, holding)
        if len(grants) < limit:
            wanted = limit - len(grants)
            grants += await self._leases.claim(principal, worker, queues, wanted, lease, trace)
        held = set(await self._leases.held(principal.id, worker)) if holding else set()
        return Poll(grants, [id_ for id_ in holding or () if id_ not in held])

    async def _unknown(
        self,
        principal: Principal,
        worker: str,
        limit: int,
        lease: timedelta,
        holding: Collection[UUID],
    ) -> list[Grant]:
        """Give what the worker holds and does not know of."""
        known = frozenset(holding)
        held = [id_ for id_ in await self._leases.held(principal.id, worker) if id_ not in known]
        if not held:
            return []
        expires_at = await self._leases.renew(principal.id, worker, lease)
        grants: list[Grant] = []
        for id_ in held[:limit]:
            try:
                execution = await self._reader.execution(id_)
            except DAMAGE:
                # Nobody can work on it, and the others must not wait for it.
                continue
            if execution is not None and not execution.state.final:
                grants.append(Grant(execution, execution.fence, expires_at))
        return grants


def _frees(event: Logged) -> bool:
    return isinstance(event.recorded.event, FREEING)
