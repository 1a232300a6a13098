"""Assignments: work handed to the workers whose streams are open in this process.

What can be claimed is seen on the tail and claimed at once for a stream with room; a sweep finds
the rest: what was released, what another process had no room for, and what a dead worker held.
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
from application.workers.lease_renewal import keep, shorten
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
FORGET_EVERY = 3_600.0
CHUNK = 64

# What a worker may wait for beside people.
_HAPPENINGS = (TimerFired, SignalReceived, ChildEnded)
# After which events of an execution that no stream here holds there may be something to claim. A
# claim is among them, because it may be one that a worker made for itself.
FREEING = (
    Started,
    Claimed,
    Retried,
    Resumed,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalExpired,
    ApprovalWithdrawn,
    Unparked,
    *_HAPPENINGS,
)


class Dispatcher:
    """One for a process. Listens to the tail from its start on."""

    def __init__(self, tail: EventTail, reader: Reader, leases: Leases) -> None:
        self._reader = reader
        self._leases = leases
        self._streams: dict[tuple[str, str], WorkerStream] = {}
        self._holders: dict[UUID, WorkerStream] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        # What can be claimed, with its queue, and that of which only the database knows it.
        self._free: dict[UUID, str] = {}
        self._unsure: set[UUID] = set()
        self._delivery = OrderedDelivery(tail, reader, self)
        # Whether there may be more to claim than anybody had room for.
        self._left_over = False
        self._sweep_now = asyncio.Event()
        self._assign_now = asyncio.Event()
        self._forget_at = 0.0

    async def start(self) -> None:
        """Begin to listen to the tail and to sweep."""
        self._tasks = [
            self._delivery.start(),
            asyncio.create_task(self._sweep_for_ever(), name="placet-sweep"),
            asyncio.create_task(self._assign_for_ever(), name="placet-assign"),
        ]

    async def close(self) -> None:
        """End every stream; what their workers hold stays theirs."""
        for stream in self._streams.values():
            stream.close()
        await stop([*self._tasks, *self._ending])

    def released(self, principal: Principal, worker: str, execution_ids: Iterable[UUID]) -> None:
        """Take note that a worker gave these back."""
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
        """Give what the worker holds, then what becomes of it and what is newly claimed for it.

        Keeps the lease while it runs. A second stream of the same worker, or that it polls, ends
        the first. Ends by itself if its messages are not taken, or with the process. ``cut`` says,
        when it is closed, whether the connection broke off: then the lease goes on for ``grace``
        at most unless the worker is heard of again, and for all of its time if that is None.
        """
        id_ = uuid4()
        expires_at = await self._leases.take_over(principal.id, worker, lease, id_)
        stream = WorkerStream(
            id_, principal, worker, queues, capacity, lease, expires_at, self._holders
        )
        earlier = self._streams.get(stream.key)
        if earlier is not None:
            earlier.close()
        # Registered before what is held is read, so that nothing falls between the two.
        self._streams[stream.key] = stream
        keeping = asyncio.create_task(keep(self._leases, stream), name="placet-lease")
        try:
            async for already in self._held_already(stream):
                yield already
            self._sweep_now.set()
            while (message := await stream.mailbox.get()) is not None:
                yield message
        finally:
            ended_here = stream.closed
            stream.close()
            keeping.cancel()
            stream.forget_all()
            if self._streams.get(stream.key) is stream:
                del self._streams[stream.key]
            if grace is not None and cut is not None and not ended_here:
                # Apart from this: whoever closes a stream cancels it as well.
                ending = asyncio.create_task(self._closed(stream, grace, cut), name="placet-closed")
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def _closed(
        self, stream: WorkerStream, grace: timedelta, cut: Callable[[], Awaitable[bool]]
    ) -> None:
        if await cut() and await shorten(self._leases, stream, grace):
            # It sees when the next lease ends.
            self._sweep_now.set()

    async def _held_already(self, stream: WorkerStream) -> AsyncIterator[Message]:
        """Claim what the worker holds, some at a time: it may be more than a mailbox takes."""
        ids = await self._leases.held(*stream.key)
        for start in range(0, len(ids), CHUNK):
            some = ids[start : start + CHUNK]
            read = await asyncio.gather(
                *(self._reader.execution(id_) for id_ in some), return_exceptions=True
            )
            # Asked again after reading: another may have taken it before it was read.
            still = set(await self._leases.held(*stream.key))
            told: list[Execution] = []
            for id_, execution in zip(some, read, strict=True):
                if isinstance(execution, DAMAGE):
                    _log.error("held_but_damaged", id=str(id_), error=str(execution))
                elif isinstance(execution, BaseException):
                    raise execution
                elif execution is not None and id_ in still and not execution.state.final:
                    stream.claim(execution)
                    told.append(execution)
            await self._tell_missed(stream, told)
            while not stream.mailbox.empty():
                message = stream.mailbox.get_nowait()
                if message is None:
                    stream.mailbox.put_nowait(None)
                    return
                yield message

    async def _tell_missed(self, stream: WorkerStream, told: Sequence[Execution]) -> None:
        """Tell of what was woken or ended between its reading and its being told of as held.

        From then on the tail's events for it go to this stream, so nothing is missed after that.
        """
        for before in told:
            try:
                now = await self._reader.execution(before.id)
            except DAMAGE as error:
                _log.error("held_but_damaged", id=str(before.id), error=str(error))
                continue
            if now is None:
                continue
            if now.state.final:
                if stream.drop(now.id):
                    stream.send(Ended(now.id))
            elif now.woken_version > before.woken_version:
                stream.send(Claim(Grant(now, now.fence, stream.expires_at)))

    @property
    def listening(self) -> bool:
        """Whether a worker's stream is open."""
        return bool(self._streams)

    def miss(self) -> None:
        """End every stream: what is held is told again on reconnection, a sweep finds the rest."""
        for stream in self._streams.values():
            stream.close()

    def needed(self, events: Sequence[LoggedEvent]) -> list[bool]:
        """Say of each event whether a worker that is here has to be told of the state after it."""
        claimed: set[UUID] = set()
        needed: list[bool] = []
        for event in events:
            id_ = event.recorded.execution_id
            if self._claimant(event) is not None:
                claimed.add(id_)
            needed.append(id_ in self._holders or id_ in claimed)
        return needed

    def take_in(self, events: Sequence[LoggedEvent], states: Sequence[Execution | None]) -> None:
        """Tell the workers what happened, and note what may be claimed."""
        # An end withdraws what is pending; whoever held the execution is told of the end alone.
        over = {e.recorded.execution_id for e in events if isinstance(e.recorded.event, ENDS)}
        freed = False
        for event, after in zip(events, states, strict=True):
            holder = self._holders.get(event.recorded.execution_id)
            if holder is None:
                self._not_held(event, after)
            elif after is not None:
                busy = holder.busy
                self._tell(holder, event, after, over)
                freed = freed or (holder.busy < busy and holder.room > 0)
        if freed and self._left_over:
            self._sweep_now.set()
        if self._free or self._unsure:
            self._assign_now.set()

    def _not_held(self, event: LoggedEvent, after: Execution | None) -> None:
        """Note what may be claimed now."""
        id_ = event.recorded.execution_id
        if isinstance(event.recorded.event, Claimed):
            self._free.pop(id_, None)
            self._unsure.discard(id_)
            if after is not None:
                self._claimed(event, after)
        elif not isinstance(event.recorded.event, FREEING):
            return
        elif after is None:
            self._unsure.add(id_)
        elif after.workable and after.worker is None:
            self._free[id_] = after.queue
        elif after.workable or after.woken_version == after.version:
            # It had a worker once, which gave it back or has its stream elsewhere.
            self._unsure.add(id_)

    def _tell(
        self, holder: WorkerStream, event: LoggedEvent, after: Execution, over: Container[UUID]
    ) -> None:
        recorded = event.recorded
        owner = recorded.actor.id
        if after.fence < holder.held[after.id].fence:
            # From before the claim by which it is held, which was read ahead of the tail.
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
            if isinstance(recorded.event, _HAPPENINGS):
                holder.send(Happened(event))
            ordinal = getattr(recorded.event, "ordinal", None)
            if ordinal and after.approvals[ordinal].resolved_version == after.version:
                holder.send(Resolved(event, after, ordinal))

    def _claimed(self, event: LoggedEvent, after: Execution) -> None:
        stream = self._claimant(event)
        if stream is not None:
            stream.claim(after)

    def _claimant(self, event: LoggedEvent) -> WorkerStream | None:
        """Give the stream of the worker that claimed, if this is a claim and the worker is here."""
        if not isinstance(event.recorded.event, Claimed):
            return None
        return self._streams.get((event.recorded.actor.id, event.recorded.event.worker))

    async def _assign_for_ever(self) -> None:
        """Claim what is free, apart from the tail, so that no resolution waits for a commit."""
        while True:
            await self._assign_now.wait()
            self._assign_now.clear()
            free, self._free = self._free, {}
            unsure, self._unsure = self._unsure, set()
            try:
                await self._assign(free)
                if unsure:
                    await self._assign(dict(await self._leases.claimable(list(unsure))))
            except psycopg.Error as error:
                _log.debug("assign_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and the sweep finds it again
                _log.exception("assign_failed")

    async def _assign(self, free: dict[UUID, str]) -> None:
        """Claim these, each for the stream with the least to do that has room.

        The stream is told when the tail tells of the claim, so in the order of the log.
        """
        chosen: dict[tuple[str, str], list[UUID]] = {}
        for execution_id, queue in free.items():
            stream = self._pick(queue, chosen)
            if stream is not None:
                chosen.setdefault(stream.key, []).append(execution_id)
            elif any(queue in each.queues for each in self._streams.values()):
                self._left_over = True
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

    async def _sweep_for_ever(self) -> None:
        pause = SWEEP_EVERY
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._sweep_now.wait()
            self._sweep_now.clear()
            pause = SWEEP_EVERY
            try:
                await self._sweep()
                pause = await self._until_next()
            except psycopg.Error as error:
                _log.debug("sweep_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("sweep_failed")

    async def _until_next(self) -> float:
        """Give the seconds until the next sweep, which comes sooner if a lease may end before."""
        if not self._streams:
            return SWEEP_EVERY
        ends_in = await self._leases.next_end()
        return SWEEP_EVERY if ends_in is None else min(SWEEP_EVERY, ends_in + AFTER_LEASE)

    async def _sweep(self) -> None:
        room: dict[frozenset[str], int] = {}
        for stream in self._streams.values():
            room[stream.queues] = room.get(stream.queues, 0) + stream.room
        self._left_over = False
        for queues, wanted in room.items():
            limit = min(wanted, SWEEP_LIMIT)
            found = await self._leases.candidates(sorted(queues), limit) if limit else []
            self._free.update(found)
            if found:
                self._assign_now.set()
            if len(found) == SWEEP_LIMIT:
                self._sweep_now.set()
            elif len(found) == limit:
                self._left_over = True
        now = asyncio.get_running_loop().time()
        if now >= self._forget_at:
            self._forget_at = now + FORGET_EVERY
            await self._leases.forget()
