"""The delivery of the outbox: one loop for each channel, while this process is the leader.

A channel that is slow or down does not hold up another, nor one recipient others of the channel.
A message is claimed before it is tried, and what came of it is recorded afterwards. If the server
is killed in between, the next leader tries it again under the same id.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from application.background_tasks import stop
from application.notifications.backoff import wait_after
from application.notifications.briefing import Briefed, Briefing, NotNow
from application.notifications.channel import Channel, DeliveryFailed, DeliverySkipped
from application.notifications.housekeeping import keep_house
from application.notifications.leadership import Leadership
from application.notifications.message import Message, MessageStatus
from application.notifications.message_spans import begin_message, end_message
from application.notifications.outbox_table import OutboxTable, Outcome
from application.notifications.outcomes import OutcomeRecorder
from application.redaction import without_secrets
from application.tracing import tracing

_log = structlog.get_logger(__name__)

MAX_PAUSE = 1.0
"""The longest time without a look at the table."""
PAUSE = 0.2
DOWN_PAUSES = (1.0, 60.0)
"""The first and the longest pause of a channel that reaches nobody."""
AHEAD = 8
"""How many messages are claimed for each that is being delivered."""
ENOUGH = 0.25
"""The part of this number that must be free before more are claimed."""
TO_END = 5.0
"""Seconds for deliveries to end when the server ends."""
MAX_ERROR = 1000
WAY, LONGEST_WAY = 0.01, 0.25
"""For how many seconds a message gives way to commands at a time, and in all."""
LATE = timedelta(seconds=30)
"""The age from which a message gives way no more."""

_BRIEFED = Briefed({}, {}, {}, 0.0)


class Delivery:
    """Delivers what is due through the channels. ``busy`` says whether commands wait."""

    def __init__(
        self,
        table: OutboxTable,
        briefing: Briefing,
        channels: Sequence[Channel],
        election: Leadership,
        *,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._table = table
        self._election = election
        self._channels = [channel.name for channel in channels]
        # Of this process, so that it does not take from itself what it is delivering.
        self._leadership = uuid4()
        self._recorder = OutcomeRecorder(table)
        self._loops = [
            _ChannelLoop(channel, table, briefing, self._recorder, election, busy)
            for channel in channels
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def wake(self) -> None:
        """Look for messages at once: some were added."""
        for loop in self._loops:
            loop.wake()

    async def start(self) -> None:
        """Start to deliver."""
        self._recorder.start()
        # Each channel follows the election by itself, so that none waits for one that hangs.
        self._tasks = [
            asyncio.create_task(self._run(loop.run), name=f"placet-delivery-{loop.name}")
            for loop in self._loops
        ]
        housekeeping = partial(keep_house, self._table, self._channels, self._election)
        self._tasks.append(
            asyncio.create_task(self._run(lambda _: housekeeping()), name="placet-outbox-house")
        )

    async def close(self) -> None:
        """Stop. What is being delivered has some seconds to end."""
        await stop(self._tasks)
        await asyncio.gather(*(loop.close() for loop in self._loops))
        await self._recorder.close()

    async def _run(self, work: Callable[[UUID], Awaitable[None]]) -> None:
        """Do a work whenever this process becomes the leader. It ends when that is over."""
        while True:
            await self._election.elected()
            try:
                await self._table.hold_after_restore()
                await self._table.release_others(self._leadership)
                await work(self._leadership)
            except (psycopg.Error, PoolTimeout) as error:
                _log.debug("outbox_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("delivery_failed")
            await asyncio.sleep(PAUSE)


class _ChannelLoop:
    """Delivers through one channel."""

    def __init__(
        self,
        channel: Channel,
        table: OutboxTable,
        briefing: Briefing,
        recorder: OutcomeRecorder,
        election: Leadership,
        busy: Callable[[], bool],
    ) -> None:
        self.name = channel.name
        self._busy = busy
        self._channel = channel
        self._table = table
        self._briefing = briefing
        self._recorder = recorder
        self._election = election
        self._woken = asyncio.Event()
        self._slots = asyncio.Semaphore(channel.concurrency)
        self._limit = channel.concurrency * AHEAD
        self._in_flight: set[asyncio.Task[None]] = set()
        self._recipients: Counter[str] = Counter()
        # For how long the channel pauses, because it reaches nobody; 0 if it does. Meanwhile only
        # one message tries it at a time.
        self._down_for = 0.0
        self._trying: UUID | None = None

    def wake(self) -> None:
        self._woken.set()

    async def run(self, leadership: UUID) -> None:
        """Deliver while this process is the leader."""
        term = self._election.term
        while self._election.leads and self._election.term == term:
            try:
                pause = await self._step(leadership)
            except (psycopg.Error, PoolTimeout) as error:
                _log.debug("outbox_unreachable", channel=self._channel.name, error=str(error))
                pause = MAX_PAUSE
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("delivery_failed", channel=self._channel.name)
                pause = MAX_PAUSE
            if pause:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()

    async def close(self) -> None:
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=TO_END)
        await stop(self._in_flight)
        await self._channel.close()

    async def _step(self, leadership: UUID) -> float:
        """Claim what is due and start to deliver it. Returns for how long to wait."""
        if self._down_for:
            await asyncio.sleep(self._down_for)
        self._woken.clear()
        room = 1 if self._down_for else self._limit - len(self._in_flight)
        if room < (1 if self._down_for else self._limit * ENOUGH):
            return MAX_PAUSE
        claimed = await self._claim(leadership, room)
        self._trying = claimed[0][0].id if claimed and self._down_for else None
        for message, briefed, cause in claimed:
            self._recipients[message.recipient] += 1
            task = asyncio.create_task(self._deliver(message, briefed, cause))
            self._in_flight.add(task)
            task.add_done_callback(self._done)
        if self._down_for and self._in_flight:
            await asyncio.wait(self._in_flight)
            self._down_for = min(self._down_for * 2, DOWN_PAUSES[1])
        if claimed:
            return 0.0
        seconds = await self._table.seconds_to_next(self._channel.name)
        return MAX_PAUSE if seconds is None else min(max(seconds, PAUSE), MAX_PAUSE)

    async def _claim(
        self, leadership: UUID, room: int
    ) -> list[tuple[Message, Briefed, str | None]]:
        """Return what to deliver, each with the trace that caused it if spans are made."""
        most = self._channel.per_recipient
        messages = await self._table.claim(
            self._channel.name,
            leadership,
            limit=room,
            per_recipient=most,
            crowded=[who for who, count in self._recipients.items() if count >= most],
        )
        briefed = _BRIEFED
        if messages and self._channel.to_people:
            briefed = await self._briefing.of_all(messages)
        causes: dict[UUID, str | None] = {}
        if messages and tracing.on:
            causes = await self._table.traces([message.id for message in messages])
        return [(message, briefed, causes.get(message.id)) for message in messages]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if len(self._in_flight) <= self._limit * (1 - ENOUGH):
            self._woken.set()

    async def _deliver(self, message: Message, briefed: Briefed, cause: str | None) -> None:
        try:
            async with self._slots:
                await self._give_way(message)
                if self._down_for and message.id != self._trying:
                    await self._recorder.record([_later(message)])
                    return
                span = begin_message(message, cause) if tracing.on else None
                outcomes = await self._outcomes(message, briefed)
                if span is not None:
                    end_message(span, message, outcomes)
            await self._recorder.record(outcomes)
        finally:
            self._recipients[message.recipient] -= 1
            if not self._recipients[message.recipient]:
                del self._recipients[message.recipient]

    async def _give_way(self, message: Message) -> None:
        """Let commands come first, for a moment, unless the message is late already."""
        began = monotonic()
        late = message.created_at + LATE < datetime.now(UTC)
        # Nobody tells when the writer has a moment, so it is looked at now and then.
        while not late and self._busy() and monotonic() < began + LONGEST_WAY:  # noqa: ASYNC110
            await asyncio.sleep(WAY)

    async def _outcomes(self, message: Message, briefed: Briefed) -> list[Outcome]:
        items: list[Outcome] = []
        try:
            if self._channel.to_people:
                message, items = await self._briefing.ready(message, briefed)
            async with asyncio.timeout(self._channel.timeout):
                reference = await self._channel.deliver(message)
        except NotNow as not_now:
            return list(not_now.outcomes)
        except DeliverySkipped as skipped:
            return [*items, *_each(message, MessageStatus.SKIPPED, skipped.reason)]
        except DeliveryFailed as failed:
            if not failed.channel_down:
                self._down_for = 0.0
            return self._failure(message, failed)
        except TimeoutError:
            reason = f"no answer within {self._channel.timeout:g} s"
            return self._failure(message, DeliveryFailed(reason))
        except (psycopg.Error, PoolTimeout) as error:
            return self._failure(message, DeliveryFailed(f"the database: {error}"))
        except Exception as error:  # noqa: BLE001 - logged, and tried again
            _log.exception("message_not_delivered", id=str(message.id), channel=message.channel)
            return self._failure(message, DeliveryFailed(f"{type(error).__name__}: {error}"))
        self._down_for = 0.0
        return [*items, *_each(message, MessageStatus.SENT, reference=reference)]

    def _failure(self, message: Message, failed: DeliveryFailed) -> list[Outcome]:
        """Return what is recorded of a try that failed. The items of a digest go on waiting."""
        error = without_secrets(failed.reason)[:MAX_ERROR]
        if failed.channel_down:
            if not self._down_for:
                _log.warning("channel_down", channel=message.channel, error=error)
            self._down_for = self._down_for or DOWN_PAUSES[0]
        _log.info(
            "message_failed",
            id=str(message.id),
            channel=message.channel,
            tries=message.tries,
            error=error,
        )
        if failed.permanent:
            return [Outcome(id=message.id, status=MessageStatus.DEAD, error=error)]
        wait = wait_after(message.tries, failed.retry_after)
        return [Outcome(id=message.id, status=MessageStatus.WAITING, error=error, wait=wait)]


def _later(message: Message) -> Outcome:
    """Return the outcome of a message that was not tried, and is as soon as its channel works."""
    due_at = datetime.now(UTC) + timedelta(seconds=DOWN_PAUSES[0])
    return Outcome(id=message.id, status=MessageStatus.WAITING, due_at=due_at)


def _each(
    message: Message, status: MessageStatus, error: str | None = None, reference: str | None = None
) -> list[Outcome]:
    """Return the outcome of a message, and of all items that were sent with it."""
    outcome = Outcome(id=message.id, status=status, error=error, reference=reference)
    items = (Outcome(id=item.id, status=status, error=error) for item in message.items)
    return [outcome, *items]
