"""The dispatcher: sends executions, and what happens to them, to the workers that hold them.

A worker is known here while it has an open stream in this process.
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
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from application.background_tasks import stop
from application.command_handling.batch import ENDS
from application.event_store.chained_events import DAMAGE, LoggedEvent
from application.event_store.reader import Reader
from application.subscriptions.event_tail import EventTail
from application.subscriptions.ordered_delivery import OrderedDelivery
from application.workers.claim_scheduler import ClaimScheduler
from application.workers.known_workflows import KnownWorkflows
from application.workers.lease_renewal import keep_lease, shorten_lease
from application.workers.leases import Grant, Leases
from application.workers.transcripts import with_transcripts
from application.workers.worker_stream import (
    Claim,
    Ended,
    Happened,
    Lost,
    Message,
    Resolved,
    Stopped,
    WorkerStream,
)
from domain.execution.events import (
    CancellationRequested,
    ChildEnded,
    Claimed,
    Completed,
    Failed,
    Parked,
    SignalReceived,
    TimerFired,
)
from domain.execution.state import Execution
from domain.values import Principal

_log = structlog.get_logger(__name__)

CHUNK = 64

# What a worker can wait for besides people.
_WAKE_UPS = (TimerFired, SignalReceived, ChildEnded, CancellationRequested)


class Dispatcher:
    """Assigns executions to streams. There is one dispatcher in each process."""

    def __init__(self, tail: EventTail, reader: Reader, leases: Leases) -> None:
        self._reader = reader
        self._leases = leases
        self._streams: dict[tuple[str, str], WorkerStream] = {}
        self._holders: dict[UUID, WorkerStream] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._claims = ClaimScheduler(leases, self._streams)
        self._delivery = OrderedDelivery(tail, reader, self)

    async def start(self) -> None:
        """Start to follow the tail and to claim."""
        self._tasks = [self._delivery.start(), *self._claims.start()]

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
        self._claims.sweep_soon()

    async def follow(
        self,
        principal: Principal,
        worker: str,
        queues: Sequence[str],
        capacity: int,
        lease: timedelta,
        grace: timedelta | None = None,
        cut: Callable[[], Awaitable[bool]] | None = None,
        known: KnownWorkflows | None = None,
        *,
        transcripts: bool = False,
    ) -> AsyncGenerator[Message, None]:
        """Yield what the worker holds, then news of it and new claims for the worker.

        Renews the lease while the stream is open. The stream ends when the worker opens another one
        or polls, when its messages are not read, and when the process ends. ``cut`` is called when
        the stream is closed by the other side, and returns whether the connection broke. If it did,
        the lease ends after ``grace`` at the latest, unless the worker is heard of again. If
        ``grace`` is None, the lease runs its full time. ``known``: the workflows that the worker
        knows; it is given no other. None: it knows all. ``transcripts``: new claims come with
        the histories of their executions.
        """
        id_ = uuid4()
        expires_at = await self._leases.take_over(principal.id, worker, lease, id_, queues, known)
        stream = WorkerStream(
            id_, principal, worker, queues, capacity, lease, expires_at, self._holders, known
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
            self._claims.sweep_soon()
            while True:
                messages = await stream.messages(CHUNK)
                for message in await self._complete(messages) if transcripts else messages:
                    if message is None:
                        return
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

    async def _complete(self, messages: Sequence[Message | None]) -> list[Message | None]:
        """Return the messages, in their order, with the histories of what is claimed."""
        claims = [message for message in messages if isinstance(message, Claim)]
        grants = iter(await with_transcripts(self._reader, [claim.grant for claim in claims]))
        return [
            Claim(next(grants)) if isinstance(message, Claim) else message for message in messages
        ]

    async def _after_close(
        self, stream: WorkerStream, grace: timedelta, cut: Callable[[], Awaitable[bool]]
    ) -> None:
        if await cut() and await shorten_lease(self._leases, stream, grace):
            # So that the sweep reads again when the next lease ends.
            self._claims.sweep_soon()

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
                self._claims.note(event, after)
                if after is not None:
                    self._claimed(event, after)
            elif after is not None:
                busy = holder.busy
                self._notify_holder(holder, event, after, over)
                has_room = has_room or (holder.busy < busy and holder.room > 0)
        if has_room:
            self._claims.capacity_freed()
        self._claims.claim_noted()

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
            # Also if its own worker parked it, because an operator may have the same owner.
            holder.send(Stopped(after.id))
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
