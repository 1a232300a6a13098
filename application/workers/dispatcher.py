"""The dispatcher: gives executions to the workers that have an open stream in this process.

It sees on the event tail which executions can be claimed, and claims them at once for a stream with
capacity. A periodic sweep of the database finds the others: released ones, those for which another
process had no capacity, and those of dead workers.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Container,
    Iterable,
    Sequence,
)
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import structlog

from application.background_tasks import stop
from application.command_handling.batch import ENDS
from application.command_handling.outcomes import UnavailableError
from application.event_store.reader import Reader
from application.event_store.recorded import DAMAGE, LoggedEvent
from application.subscriptions.event_tail import EventTail
from application.subscriptions.ordered_delivery import OrderedDelivery
from application.workers.lease_renewal import keep_lease, shorten_lease
from application.workers.leases import Grant, Leases, OverloadedError
from application.workers.worker_stream import (
    Claim,
    Ended,
    Happened,
    Lost,
    Message,
    Resolved,
    WorkerStream,
)
from domain.execution.events import (
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalWithdrawn,
    ChildEnded,
    Claimed,
    Completed,
    Failed,
    Parked,
    Resumed,
    Retried,
    SignalReceived,
    Started,
    TimerFired,
    Unparked,
)
from domain.execution.state import Execution
from domain.values import Principal

_log = structlog.get_logger(__name__)

SWEEP_EVERY = 1.0
SWEEP_LIMIT = 256
AFTER_LEASE = 0.005
CLEAN_UP_EVERY = 3_600.0
CHUNK = 64

# What a worker can wait for besides people.
_WAKE_UPS = (TimerFired, SignalReceived, ChildEnded)
# The events after which an execution that no stream here holds may be claimable. Claimed is one of
# them, because a worker may have claimed the execution by itself.
CLAIMABLE_AFTER = (
    Started,
    Claimed,
    Retried,
    Resumed,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalExpired,
    ApprovalWithdrawn,
    Unparked,
    *_WAKE_UPS,
)


class Dispatcher:
    """Assigns executions to streams. There is one dispatcher in each process."""

    def __init__(self, tail: EventTail, reader: Reader, leases: Leases) -> None:
        self._reader = reader
        self._leases = leases
        self._streams: dict[tuple[str, str], WorkerStream] = {}
        self._holders: dict[UUID, WorkerStream] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        # Executions that can be claimed, with their queues, and those that may be claimable.
        self._claimable: dict[UUID, str] = {}
        self._maybe_claimable: set[UUID] = set()
        self._delivery = OrderedDelivery(tail, reader, self)
        # Whether more executions may be claimable than the streams had capacity for.
        self._more_claimable = False
        self._sweep_now = asyncio.Event()
        self._assign_now = asyncio.Event()
        self._clean_up_at = 0.0

    async def start(self) -> None:
        """Start to follow the tail and to sweep."""
        self._tasks = [
            self._delivery.start(),
            asyncio.create_task(self._run_sweeps(), name="placet-sweep"),
            asyncio.create_task(self._run_assignments(), name="placet-assign"),
        ]

    async def close(self) -> None:
        """Close every stream. The workers keep their executions."""
        for stream in self._streams.values():
            stream.close()
        await stop([*self._tasks, *self._ending])

    def released(self, principal: Principal, worker: str, execution_ids: Iterable[UUID]) -> None:
        """Note that a worker released these executions."""
        stream = self._streams.get((principal.id, worker))
        if stream is not None:
            for execution_id in execution_ids:
                stream.drop(execution_id)
        self._sweep_now.set()

    async def follow(
        self,
        principal: Principal,
        worker: str,
        queues: Sequence[str],
        capacity: int,
        lease: timedelta,
        grace: timedelta | None = None,
        cut: Callable[[], Awaitable[bool]] | None = None,
    ) -> AsyncGenerator[Message, None]:
        """Yield what the worker holds, then news of it and new claims for the worker.

        Renews the lease while the stream is open. The stream ends when the worker opens another one
        or polls, when its messages are not read, and when the process ends. ``cut`` is called when
        the stream is closed by the other side, and returns whether the connection broke. If it did,
        the lease ends after ``grace`` at the latest, unless the worker is heard of again. If
        ``grace`` is None, the lease runs its full time.
        """
        id_ = uuid4()
        expires_at = await self._leases.take_over(principal.id, worker, lease, id_)
        stream = WorkerStream(
            id_, principal, worker, queues, capacity, lease, expires_at, self._holders
        )
        earlier = self._streams.get(stream.key)
        if earlier is not None:
            earlier.close()
        # Registered before the holds are read, so that no event is missed in between.
        self._streams[stream.key] = stream
        keeping = asyncio.create_task(keep_lease(self._leases, stream), name="placet-lease")
        try:
            async for already in self._send_held(stream):
                yield already
            self._sweep_now.set()
            while (message := await stream.mailbox.get()) is not None:
                yield message
        finally:
            ended_here = stream.closed
            stream.close()
            keeping.cancel()
            stream.remove_holds()
            if self._streams.get(stream.key) is stream:
                del self._streams[stream.key]
            if grace is not None and cut is not None and not ended_here:
                # In a separate task, because this one is cancelled when the stream is closed.
                ending = asyncio.create_task(
                    self._after_close(stream, grace, cut), name="placet-stream-closed"
                )
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def _after_close(
        self, stream: WorkerStream, grace: timedelta, cut: Callable[[], Awaitable[bool]]
    ) -> None:
        if await cut() and await shorten_lease(self._leases, stream, grace):
            # So that the sweep reads again when the next lease ends.
            self._sweep_now.set()

    async def _send_held(self, stream: WorkerStream) -> AsyncIterator[Message]:
        """Yield what the worker holds, in parts, because it may be more than the mailbox takes."""
        ids = await self._leases.held(*stream.key)
        for start in range(0, len(ids), CHUNK):
            some = ids[start : start + CHUNK]
            read = await asyncio.gather(
                *(self._reader.execution(id_) for id_ in some), return_exceptions=True
            )
            # Read the holds again, because another worker may have claimed one meanwhile.
            still = set(await self._leases.held(*stream.key))
            claimed_now: list[Execution] = []
            for id_, execution in zip(some, read, strict=True):
                if isinstance(execution, DAMAGE):
                    _log.error("held_execution_damaged", id=str(id_), error=str(execution))
                elif isinstance(execution, BaseException):
                    raise execution
                elif execution is not None and id_ in still and not execution.state.final:
                    stream.claim(execution)
                    claimed_now.append(execution)
            await self._send_missed(stream, claimed_now)
            while not stream.mailbox.empty():
                message = stream.mailbox.get_nowait()
                if message is None:
                    stream.mailbox.put_nowait(None)
                    return
                yield message

    async def _send_missed(self, stream: WorkerStream, claimed_now: Sequence[Execution]) -> None:
        """Send what happened to executions between reading them and registering them as held.

        Once they are registered, this stream gets their events from the tail.
        """
        for before in claimed_now:
            try:
                now = await self._reader.execution(before.id)
            except DAMAGE as error:
                _log.error("held_execution_damaged", id=str(before.id), error=str(error))
                continue
            if now is None:
                continue
            if now.state.final:
                if stream.drop(now.id):
                    stream.send(Ended(now.id))
            elif now.woken_version > before.woken_version:
                stream.send(Claim(Grant(now, now.fence, stream.expires_at)))

    @property
    def active(self) -> bool:
        """Whether a worker's stream is open."""
        return bool(self._streams)

    def events_missed(self) -> None:
        """Close every stream. On reconnection a worker gets all that it holds."""
        for stream in self._streams.values():
            stream.close()

    def needs_state(self, events: Sequence[LoggedEvent]) -> list[bool]:
        """Return for each event whether a stream here needs the state after it."""
        claimed: set[UUID] = set()
        needed: list[bool] = []
        for event in events:
            id_ = event.recorded.execution_id
            if self._claimant(event) is not None:
                claimed.add(id_)
            needed.append(id_ in self._holders or id_ in claimed)
        return needed

    def deliver(self, events: Sequence[LoggedEvent], states: Sequence[Execution | None]) -> None:
        """Send the events to the workers that hold the executions, and note what can be claimed."""
        # An end also withdraws pending approvals. The worker gets only the message of the end.
        over = {e.recorded.execution_id for e in events if isinstance(e.recorded.event, ENDS)}
        has_room = False
        for event, after in zip(events, states, strict=True):
            holder = self._holders.get(event.recorded.execution_id)
            if holder is None:
                self._note_claimable(event, after)
            elif after is not None:
                busy = holder.busy
                self._notify_holder(holder, event, after, over)
                has_room = has_room or (holder.busy < busy and holder.room > 0)
        if has_room and self._more_claimable:
            self._sweep_now.set()
        if self._claimable or self._maybe_claimable:
            self._assign_now.set()

    def _note_claimable(self, event: LoggedEvent, after: Execution | None) -> None:
        """Note whether the execution can be claimed after an event. No stream here holds it."""
        id_ = event.recorded.execution_id
        if isinstance(event.recorded.event, Claimed):
            self._claimable.pop(id_, None)
            self._maybe_claimable.discard(id_)
            if after is not None:
                self._claimed(event, after)
        elif not isinstance(event.recorded.event, CLAIMABLE_AFTER):
            return
        elif after is None:
            self._maybe_claimable.add(id_)
        elif after.workable and after.worker is None:
            self._claimable[id_] = after.queue
        elif after.workable or after.woken_version == after.version:
            # It was claimed before. The worker has released it, or has its stream elsewhere.
            self._maybe_claimable.add(id_)

    def _notify_holder(
        self, holder: WorkerStream, event: LoggedEvent, after: Execution, over: Container[UUID]
    ) -> None:
        recorded = event.recorded
        owner = recorded.actor.id
        if after.fence < holder.held[after.id].fence:
            # The event is from before the claim, which was read before the tail delivered it.
            return
        if isinstance(recorded.event, Claimed):
            if (owner, recorded.event.worker) != holder.key:
                holder.drop(after.id)
                holder.send(Lost(after.id))
            self._claimed(event, after)
        elif after.state.final:
            holder.drop(after.id)
            by_worker = isinstance(recorded.event, Completed | Failed)
            if not (by_worker and owner == holder.principal.id):
                holder.send(Ended(after.id))
        elif isinstance(recorded.event, Parked):
            holder.drop(after.id)
        elif after.id not in over:
            holder.keep(after)
            if isinstance(recorded.event, _WAKE_UPS):
                holder.send(Happened(event))
            ordinal = getattr(recorded.event, "ordinal", None)
            if ordinal and after.approvals[ordinal].resolved_version == after.version:
                holder.send(Resolved(event, after, ordinal))

    def _claimed(self, event: LoggedEvent, after: Execution) -> None:
        stream = self._claimant(event)
        if stream is not None:
            stream.claim(after)

    def _claimant(self, event: LoggedEvent) -> WorkerStream | None:
        """Return the stream of the worker that claimed, None if there is none here."""
        if not isinstance(event.recorded.event, Claimed):
            return None
        return self._streams.get((event.recorded.actor.id, event.recorded.event.worker))

    async def _run_assignments(self) -> None:
        """Claim executions, in a separate task so that the tail does not wait for the commits."""
        while True:
            await self._assign_now.wait()
            self._assign_now.clear()
            free, self._claimable = self._claimable, {}
            unsure, self._maybe_claimable = self._maybe_claimable, set()
            try:
                await self._assign(free)
                if unsure:
                    await self._assign(dict(await self._leases.claimable(list(unsure))))
            except psycopg.Error as error:
                _log.warning("assign_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and the sweep finds it again
                _log.exception("assign_failed")

    async def _assign(self, free: dict[UUID, str]) -> None:
        """Claim these executions, each for the least busy stream with capacity.

        The stream gets the claim from the tail, so in the order of the log.
        """
        chosen: dict[tuple[str, str], list[UUID]] = {}
        for execution_id, queue in free.items():
            stream = self._pick(queue, chosen)
            if stream is not None:
                chosen.setdefault(stream.key, []).append(execution_id)
            elif any(queue in each.queues for each in self._streams.values()):
                self._more_claimable = True
        for key, ids in chosen.items():
            stream = self._streams.get(key)
            if stream is None or stream.closed:
                continue
            try:
                await self._leases.claim_these(stream.principal, stream.worker, ids)
            except (UnavailableError, OverloadedError) as error:
                _log.warning("claims_failed", worker=stream.worker, error=str(error))

    def _pick(self, queue: str, chosen: dict[tuple[str, str], list[UUID]]) -> WorkerStream | None:
        def load(stream: WorkerStream) -> int:
            return stream.busy + len(chosen.get(stream.key, ()))

        fit = [
            stream
            for stream in self._streams.values()
            if queue in stream.queues and not stream.closed and load(stream) < stream.capacity
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
                _log.warning("sweep_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("sweep_failed")

    async def _until_next_sweep(self) -> float:
        """Return the seconds until the next sweep. It is earlier if a lease ends before."""
        if not self._streams:
            return SWEEP_EVERY
        ends_in = await self._leases.next_expiry()
        return SWEEP_EVERY if ends_in is None else min(SWEEP_EVERY, ends_in + AFTER_LEASE)

    async def _sweep(self) -> None:
        room: dict[frozenset[str], int] = {}
        for stream in self._streams.values():
            room[stream.queues] = room.get(stream.queues, 0) + stream.room
        self._more_claimable = False
        for queues, wanted in room.items():
            limit = min(wanted, SWEEP_LIMIT)
            found = await self._leases.candidates(sorted(queues), limit) if limit else []
            self._claimable.update(found)
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
