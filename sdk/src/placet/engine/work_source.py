"""Where an engine gets its work: a stream over the WebSocket, or polling where there is none."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from time import monotonic

from placet.client.changes import Mode
from placet.client.leases import Leases
from placet.client.transport.reconnecting import StreamCutError
from placet.client.transport.retry import retried
from placet.engine.execution_pool import ExecutionPool
from placet.engine.execution_runner import ExecutionRunner
from placet.errors import BadRequest, Forbidden, RequestError, Unauthenticated
from placet.models.commands import KnownWorkflow
from placet.models.rules import MAX_CLAIMS, MAX_WAIT
from placet.models.worker_responses import Poll

log = logging.getLogger("placet.engine")


CONFIRM_SECONDS = 2.0
SHORT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0
REFUSED_PAUSE_SECONDS = 1.0
LASTING_SECONDS = 30.0
"""An error after so long is not counted together with those before it."""


class WorkSource:
    """Passes what the service assigns to the pool, and keeps the lease meanwhile."""

    def __init__(
        self,
        leases: Leases,
        pool: ExecutionPool,
        *,
        worker: str,
        queues: Sequence[str],
        workflows: Callable[[], Sequence[KnownWorkflow]],
        capacity: int,
        lease: timedelta,
        grace: timedelta | None,
        mode: Mode,
    ) -> None:
        self._leases = leases
        self._pool = pool
        self._worker = worker
        self._queues = queues
        self._workflows = workflows
        self._capacity = capacity
        self._lease = lease
        self._grace = grace
        self._mode = mode
        self._confirming: asyncio.Task[None] | None = None
        self._cut_level = logging.WARNING
        self._refused_since: float | None = None

    async def run(self) -> None:
        """Work until cancelled.

        Raises Forbidden or BadRequest if the service refuses the worker, and Unauthenticated if it
        refuses the token. That is tried until the lease is over if another token may come, or while
        executions are held: what was done must be recorded if it can be. Any other error may pass,
        so the worker tries again.
        """
        failures = 0
        try:
            while True:
                begun = monotonic()
                try:
                    await (self._poll() if self._polls else self._push())
                except (Forbidden, BadRequest):
                    raise
                except Unauthenticated as error:
                    if not self._outlasts(error):
                        raise
                    await asyncio.sleep(REFUSED_PAUSE_SECONDS)
                except RequestError as error:
                    failures = failures + 1 if monotonic() - begun < LASTING_SECONDS else 1
                    pause = min(FIRST_PAUSE_SECONDS * 2**failures, MAX_PAUSE_SECONDS)
                    pause *= random.uniform(0.5, 1)  # noqa: S311 - jitter, no secret
                    log.warning(
                        "no work from the service, trying again in %.1f s: %s", pause, error
                    )
                    await asyncio.sleep(pause)
                else:
                    failures = 0
        finally:
            if self._confirming is not None:
                self._confirming.cancel()

    def _outlasts(self, error: Unauthenticated) -> bool:
        """Whether to go on although the token is refused."""
        now = monotonic()
        if self._refused_since is None:
            self._refused_since = now
        left = self._lease.total_seconds() - (now - self._refused_since)
        nothing_to_lose = self._leases.transport.token.fixed and len(self._pool) == 0
        if left <= 0 or nothing_to_lose:
            return False
        log.warning("the engine ends in %.0f s, because its token is refused: %s", left, error)
        return True

    @property
    def _polls(self) -> bool:
        return self._mode == "poll" or self._leases.transport.socket.health.blocked

    async def _push(self) -> None:
        self._pool.keep(waiting=True)
        begun = monotonic()
        assignments = self._leases.assignments(
            self._worker,
            queues=self._queues,
            capacity=self._capacity,
            lease=self._lease,
            grace=self._grace,
            on_open=self._find_lost,
            patient=False,
            workflows=self._workflows,
            transcripts=True,
        )
        try:
            async with aclosing(assignments):
                async for assignment in assignments:
                    self._pool.take(assignment)
        except StreamCutError as error:
            # Warn once until a stream opens: a wrong address must not go unnoticed.
            log.log(self._cut_level, "no stream of assignments, trying again: %s", error)
            self._cut_level = logging.INFO
        await self._beat()
        self._leases.transport.socket.health.http_works()
        # After a stream that lasted, connect at once: decisions may have been made meanwhile.
        if monotonic() - begun < SHORT_SECONDS:
            await self._leases.transport.socket.pause()

    async def _poll(self) -> None:
        self._pool.keep(waiting=False)
        await self._pool.returned()
        while self._polls:
            room = self._capacity - len(self._pool)
            poll = await (self._request(room) if room > 0 else self._listen())
            self._refused_since = None
            # In one answer an execution may be lost first and claimed anew after that.
            for execution_id in poll.lost:
                if execution_id in poll.parked:
                    self._pool.parked(execution_id)
                else:
                    self._pool.abandon(execution_id)
            for claim in poll.claims:
                self._pool.claim(claim)

    async def _request(self, limit: int) -> Poll:
        poll = partial(
            self._leases.poll,
            self._worker,
            queues=self._queues,
            limit=min(limit, MAX_CLAIMS),
            lease=self._lease,
            wait=MAX_WAIT,
            holding=self._pool.holding(),
            workflows=self._workflows(),
            transcripts=True,
        )
        return await retried(None, poll)

    async def _listen(self) -> Poll:
        """Claim nothing, but get the events of what is held, until there is room for more."""
        asking = asyncio.ensure_future(self._request(0))
        waiting = asyncio.ensure_future(self._pool.room(self._capacity))
        try:
            await asyncio.wait({asking, waiting}, return_when=asyncio.FIRST_COMPLETED)
            # An answer that is dropped here comes again: the next poll says what is known.
            return asking.result() if asking.done() else Poll(claims=[], lost=[])
        finally:
            asking.cancel()
            waiting.cancel()

    async def _beat(self) -> None:
        """Prolong the lease by a request, and abandon what was lost."""
        beat = partial(self._leases.heartbeat, self._worker, lease=self._lease)
        before = {runner.execution.id: runner for runner in self._pool.held()}
        for execution_id in (await retried(None, beat)).lost:
            # An execution that was claimed anew meanwhile has another runner.
            if execution_id in before:
                before[execution_id].abandon()

    async def _find_lost(self) -> None:
        """Abandon what was lost or has ended while there was no stream to say so."""
        self._cut_level = logging.WARNING
        self._refused_since = None
        before = self._pool.held()
        if not before:
            return
        await self._beat()
        if self._confirming is not None:
            self._confirming.cancel()
        self._confirming = asyncio.create_task(self._confirm(before), name="placet-confirm")

    async def _confirm(self, before: Sequence[ExecutionRunner]) -> None:
        """Ask about executions that the stream does not announce again within some seconds."""
        self._pool.doubt(before)
        await asyncio.sleep(CONFIRM_SECONDS)
        await self._pool.confirm()
