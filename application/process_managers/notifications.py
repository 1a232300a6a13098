"""The process manager of notifications: turns events of the log into messages of the outbox.

It saves its position and the messages in one transaction, so no event is missed or told twice. It
does not send: ``application/notifications/delivery.py`` does. Only the leader does this.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from application import metrics
from application.background_tasks import stop
from application.event_store.chained_events import DAMAGE, LoggedEvent
from application.notifications.message import NewMessage
from application.notifications.outbox_table import KEEP, OutboxTable
from application.notifications.restores import hold_after_restore
from application.notifications.source import MessageSource
from application.process_managers.leader_election import LeaderElection
from application.process_managers.log_following import INTERVAL, follow_as_leader
from application.subscriptions.event_tail import EventPage, EventTail

_log = structlog.get_logger(__name__)

BUSY_PAUSE = 0.02
"""While commands wait for the writer, they come first: messages are made at most this often."""

_POSITION = "SELECT position FROM outbox_state"
_SAVE = "UPDATE outbox_state SET position = greatest(position, %s), seen_at = clock_timestamp()"


class NotificationProcessManager:
    """Follows the log while this process is the leader, and fills the outbox.

    ``on_messages`` is called when there are new messages. ``busy`` says whether commands wait.
    ``position`` is that of the last event whose messages are in the outbox.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        tail: EventTail,
        election: LeaderElection,
        sources: Sequence[MessageSource],
        *,
        on_messages: Callable[[], None] = lambda: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pool = pool
        self._tail = tail
        self._election = election
        self._sources = sources
        self._on_messages = on_messages
        self._busy = busy
        self._tasks: list[asyncio.Task[None]] = []
        self._saved_at = 0.0
        self.position = 0

    async def start(self) -> None:
        """Start to follow the log."""
        following = follow_as_leader(
            "notifications", self._tail, self._election, begin=self._begin, act=self._act
        )
        self._tasks = [asyncio.create_task(following, name="placet-notifications")]

    async def close(self) -> None:
        """Stop. The position is saved, so that a server with other channels begins there."""
        await stop(self._tasks)
        if self._election.leads and self.position:
            with suppress(psycopg.Error, PoolTimeout):
                await self._save(self.position, ())

    async def _begin(self) -> int:
        async with self._pool.connection() as connection:
            await hold_after_restore(connection)
            row = await (await connection.execute(_POSITION)).fetchone()
        assert row is not None, "schema.sql puts one row into outbox_state"
        return int(row[0])

    async def _act(self, page: EventPage) -> None:
        if self._busy():
            # First the answer to the command, and those whom it wakes.
            await asyncio.sleep(BUSY_PAUSE)
        messages = await self._messages(page)
        if messages or monotonic() >= self._saved_at + INTERVAL:
            await self._save(page.position, messages)
        self.position = page.position
        if messages:
            self._on_messages()

    async def _messages(self, page: EventPage) -> list[NewMessage]:
        found: list[NewMessage] = []
        # What was told of them may have been deleted, so it would be told again.
        oldest = datetime.now(UTC) - KEEP
        for event in page.events:
            for source in self._sources:
                if source.concerns(event) and event.recorded.at > oldest:
                    found += await self._messages_or_none(source, event)
        return found

    async def _messages_or_none(
        self, source: MessageSource, event: LoggedEvent
    ) -> Sequence[NewMessage]:
        """Return the messages that an event causes. An error is reported, and gives no messages.

        Otherwise an event with an error would stop all later ones, also after a restart.
        """
        recorded = event.recorded
        try:
            return await source.messages(event)
        except (psycopg.Error, PoolTimeout):
            raise
        except DAMAGE as error:
            _log.error("stream_damaged", manager="notifications", error=str(error))
        except Exception:  # noqa: BLE001 - reported
            _log.exception(
                "event_not_told", id=str(recorded.execution_id), version=recorded.version
            )
        metrics.EVENTS_NOT_TOLD.labels(type(recorded.event).__name__).inc()
        return ()

    async def _save(self, position: int, messages: Sequence[NewMessage]) -> None:
        async with self._pool.connection() as connection, connection.transaction():
            try:
                async with connection.transaction():
                    await OutboxTable.add(connection, messages)
            except (psycopg.DataError, psycopg.IntegrityError):
                await self._add_each(connection, messages)
            await connection.execute(_SAVE, [position], prepare=True)
        self._saved_at = monotonic()

    async def _add_each(
        self, connection: AsyncConnection[Any], messages: Sequence[NewMessage]
    ) -> None:
        """Add messages one by one, and report those that the database refuses.

        Otherwise one of them would stop all later ones.
        """
        for message in messages:
            try:
                async with connection.transaction():
                    await OutboxTable.add(connection, [message])
            except (psycopg.DataError, psycopg.IntegrityError):
                _log.exception("message_refused", id=str(message.id), channel=message.channel)
                metrics.EVENTS_NOT_TOLD.labels(message.kind).inc()
