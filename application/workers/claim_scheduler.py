"""Finds executions that can be claimed, and claims them for the streams with capacity.

Most are seen in the events of the log, and are claimed at once. A periodic sweep of the database
finds the others: released ones, those for which another process had no capacity, and those of dead
workers.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from uuid import UUID

import psycopg
import structlog

from application.command_handling.outcomes import UnavailableError
from application.event_store.chained_events import LoggedEvent
from application.workers.known_workflows import Candidate, KnownWorkflows
from application.workers.leases import Leases, OverloadedError
from application.workers.worker_stream import WorkerStream
from domain.approvals.events import (
    ApprovalChangesRequested,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRevoked,
    ApprovalWithdrawn,
)
from domain.execution.events import (
    CancellationRequested,
    ChildEnded,
    Claimed,
    Resumed,
    Retried,
    SignalReceived,
    Started,
    TimerFired,
    Unparked,
)
from domain.execution.state import Execution

_log = structlog.get_logger(__name__)

SWEEP_EVERY = 1.0
SWEEP_LIMIT = 256
AFTER_LEASE = 0.005
CLEAN_UP_EVERY = 3_600.0

# The events after which an execution that no stream here holds may be claimable. Claimed is one of
# them, because a worker may have claimed the execution by itself.
CLAIMABLE_AFTER = (
    Started,
    Claimed,
    Retried,
    Resumed,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalChangesRequested,
    ApprovalRevoked,
    ApprovalExpired,
    ApprovalWithdrawn,
    Unparked,
    TimerFired,
    SignalReceived,
    ChildEnded,
    CancellationRequested,
)


class ClaimScheduler:
    """Claims for the streams of one process. ``streams`` are those that are open, by their key."""

    def __init__(self, leases: Leases, streams: Mapping[tuple[str, str], WorkerStream]) -> None:
        self._leases = leases
        self._streams = streams
        # Executions that can be claimed, and those that may be claimable.
        self._claimable: dict[UUID, Candidate] = {}
        self._maybe_claimable: set[UUID] = set()
        # Whether more executions may be claimable than the streams had capacity for.
        self._more_claimable = False
        self._sweep_now = asyncio.Event()
        self._assign_now = asyncio.Event()
        self._clean_up_at = 0.0

    def start(self) -> "list[asyncio.Task[None]]":
        """Start to claim and to sweep. Returns the tasks that do it."""
        return [
            asyncio.create_task(self._run_sweeps(), name="placet-sweep"),
            asyncio.create_task(self._run_assignments(), name="placet-assign"),
        ]

    def sweep_soon(self) -> None:
        """Sweep without waiting for the next time: something may have become claimable."""
        self._sweep_now.set()

    def capacity_freed(self) -> None:
        """Note that a stream has capacity again."""
        if self._more_claimable:
            self._sweep_now.set()

    def note(self, event: LoggedEvent, after: Execution | None) -> None:
        """Note whether the execution can be claimed after an event. No stream here holds it."""
        id_ = event.recorded.execution_id
        if isinstance(event.recorded.event, Claimed):
            self._claimable.pop(id_, None)
            self._maybe_claimable.discard(id_)
        elif not isinstance(event.recorded.event, CLAIMABLE_AFTER):
            return
        elif after is None:
            self._maybe_claimable.add(id_)
        elif after.workable and after.worker is None:
            self._claimable[id_] = Candidate(
                id_, after.queue, after.workflow, after.workflow_version
            )
        elif after.workable or after.woken_version == after.version:
            # It was claimed before. The worker has released it, or has its stream elsewhere.
            self._maybe_claimable.add(id_)

    def claim_noted(self) -> None:
        """Claim what was noted, soon."""
        if self._claimable or self._maybe_claimable:
            self._assign_now.set()

    async def _run_assignments(self) -> None:
        """Claim executions, in a separate task so that the tail does not wait for the commits."""
        while True:
            await self._assign_now.wait()
            self._assign_now.clear()
            free, self._claimable = self._claimable, {}
            unsure, self._maybe_claimable = self._maybe_claimable, set()
            try:
                await self._assign(free.values())
                if unsure:
                    await self._assign(await self._leases.claimable(list(unsure)))
            except psycopg.Error as error:
                _log.debug("assign_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and the sweep finds it again
                _log.exception("assign_failed")

    async def _assign(self, free: Iterable[Candidate]) -> None:
        """Claim these executions, each for the least busy stream with capacity that takes it.

        The stream gets the claim from the tail, so in the order of the log.
        """
        chosen: dict[tuple[str, str], list[Candidate]] = {}
        for candidate in free:
            stream = self._pick(candidate, chosen)
            if stream is not None:
                chosen.setdefault(stream.key, []).append(candidate)
            elif any(each.takes(candidate) for each in self._streams.values()):
                self._more_claimable = True
        for key, candidates in chosen.items():
            stream = self._streams.get(key)
            if stream is None or stream.closed:
                continue
            try:
                await self._leases.claim_these(
                    stream.principal, stream.worker, candidates, known=stream.known
                )
            except (UnavailableError, OverloadedError) as error:
                _log.warning("claims_failed", worker=stream.worker, error=str(error))

    def _pick(
        self, candidate: Candidate, chosen: dict[tuple[str, str], list[Candidate]]
    ) -> WorkerStream | None:
        def load(stream: WorkerStream) -> int:
            return stream.busy + len(chosen.get(stream.key, ()))

        fit = [
            stream
            for stream in self._streams.values()
            if not stream.closed and load(stream) < stream.capacity and stream.takes(candidate)
        ]
        return min(fit, key=load, default=None)

    async def _run_sweeps(self) -> None:
        pause = SWEEP_EVERY
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._sweep_now.wait()
            self._sweep_now.clear()
            pause = SWEEP_EVERY
            try:
                await self._sweep()
                pause = await self._until_next_sweep()
            except psycopg.Error as error:
                _log.debug("sweep_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("sweep_failed")

    async def _until_next_sweep(self) -> float:
        """Return the seconds until the next sweep. It is earlier if a lease ends before."""
        if not self._streams:
            return SWEEP_EVERY
        ends_in = await self._leases.next_expiry()
        return SWEEP_EVERY if ends_in is None else min(SWEEP_EVERY, ends_in + AFTER_LEASE)

    async def _sweep(self) -> None:
        room: Counter[tuple[frozenset[str], KnownWorkflows | None]] = Counter()
        for stream in self._streams.values():
            room[stream.queues, stream.known] += stream.room
        self._more_claimable = False
        for (queues, known), wanted in room.items():
            limit = min(wanted, SWEEP_LIMIT)
            found: list[Candidate] = []
            if limit:
                found = await self._leases.candidates(sorted(queues), limit, known=known)
            self._claimable.update((each.execution_id, each) for each in found)
            if found:
                self._assign_now.set()
            if len(found) == SWEEP_LIMIT:
                self._sweep_now.set()
            elif len(found) == limit:
                self._more_claimable = True
        now = asyncio.get_running_loop().time()
        if now >= self._clean_up_at:
            self._clean_up_at = now + CLEAN_UP_EVERY
            await self._leases.delete_expired()
