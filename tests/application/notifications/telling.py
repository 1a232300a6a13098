"""A server process that tells people."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg.rows import dict_row

from application.notifications.briefing import Briefing
from application.notifications.delivery import Delivery
from application.notifications.directory_people import DirectoryPeople
from application.notifications.outbox_table import OutboxTable
from application.notifications.personal_messages import PersonalMessages
from application.notifications.preferences import PreferencesTable
from application.notifications.recipients import Recipients
from application.process_managers.notifications import NotificationProcessManager
from tests.application.notifications.town import Kept, Town, everybody
from tests.application.server_process import ServerProcess
from tests.support.patience import HANGS

_SETTLED = """
    SELECT NOT EXISTS (
        SELECT FROM outbox_messages WHERE status = 'WAITING' AND digest_id IS NULL
            AND (due_at <= clock_timestamp() OR claimed_by IS NOT NULL)
    )
"""


class Telling:
    """The notifications of a server process, with channels that keep what they deliver."""

    def __init__(
        self,
        process: ServerProcess,
        *channels: Kept,
        town: Town | None = None,
        fallback_group: str | None = None,
    ) -> None:
        self.process = process
        self.town = town or everybody()
        self.channel = channels[0]
        self.table = OutboxTable(process.pool)
        self.preferences = PreferencesTable(process.pool)
        people = DirectoryPeople(self.town)  # type: ignore[arg-type]
        recipients = Recipients(people, fallback_group=fallback_group)
        self.source = PersonalMessages(process.reader, recipients, self.preferences, channels)
        briefing = Briefing(process.reader, people, self.preferences, self.table)
        self.delivery = Delivery(self.table, briefing, channels, process.election)
        self.manager = NotificationProcessManager(
            process.pool,
            process.tail,
            process.election,
            [self.source],
            on_messages=self.delivery.wake,
        )

    async def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the outbox, in the order of the log."""
        async with self.process.pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute("SELECT * FROM outbox_messages ORDER BY position, recipient, id")
            return await cursor.fetchall()

    async def execute(self, statement: Any, *params: Any) -> None:
        async with self.process.pool.connection() as connection:
            await connection.execute(statement, params)

    async def _nothing_due(self) -> bool:
        async with self.process.pool.connection() as connection:
            cursor = await connection.execute(_SETTLED)
            return await cursor.fetchone() == (True,)

    async def settled(self) -> list[dict[str, Any]]:
        """Wait until each event was looked at, and no message is due. Return the rows."""
        async with asyncio.timeout(HANGS):
            while True:
                end = await self.process.reader.positions.last()
                # In this order: what is found to be settled must be after the last event.
                if self.manager.position >= end and await self._nothing_due():
                    return await self.rows()
                await asyncio.sleep(0.02)


@asynccontextmanager
async def telling(url: str, *channels: Kept, **rest: Any) -> AsyncIterator[Telling]:
    """Open a server process that tells people."""
    async with ServerProcess.open(url) as process:
        telling = Telling(process, *(channels or (Kept(),)), **rest)
        await telling.manager.start()
        await telling.delivery.start()
        try:
            yield telling
        finally:
            await telling.manager.close()
            await telling.delivery.close()
