"""Builds what tells people and programs what happened."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import structlog
from psycopg_pool import AsyncConnectionPool

from api.channels.email.channel import EmailChannel
from api.context import Services
from api.database import outbox_pool
from api.settings import Settings
from api.wiring.channels import all_channels, slack_of
from api.wiring.core import Core
from application.background_tasks import stop
from application.command_handling.writer import Writer
from application.directory import Directory
from application.event_store.reader import Reader
from application.notifications.briefing import Briefing
from application.notifications.channel import Channel, DeliveryFailed
from application.notifications.delivery import Delivery
from application.notifications.directory_people import DirectoryPeople
from application.notifications.outbox_table import OutboxTable
from application.notifications.people import People
from application.notifications.personal_messages import PersonalMessages
from application.notifications.preferences import PreferencesTable
from application.notifications.recipients import Recipients
from application.notifications.source import MessageSource
from application.process_managers.leader_election import LeaderElection
from application.process_managers.notifications import NotificationProcessManager
from application.subscriptions.event_tail import EventTail

if TYPE_CHECKING:
    from api.slack.service import Slack

_log = structlog.get_logger(__name__)


class Notifications:
    """The outbox of a server process, from the log to the channels.

    ``sources`` make messages besides those to people, such as webhooks. ``fallback_group`` is told
    of requests for which too few people are known. ``pool`` is its own, so that a full outbox takes
    no connection from workers.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        writer: Writer,
        tail: EventTail,
        election: LeaderElection,
        people: People,
        channels: Sequence[Channel],
        sources: Sequence[MessageSource] = (),
        fallback_group: str | None = None,
    ) -> None:
        self._pool = pool
        reader = Reader(tail.recent, pool)
        self.table = OutboxTable(pool)
        self.preferences = PreferencesTable(pool)
        self.channels = channels
        personal = PersonalMessages(
            reader, Recipients(people, fallback_group=fallback_group), self.preferences, channels
        )
        briefing = Briefing(reader, people, self.preferences, self.table)
        self._delivery = Delivery(
            self.table, briefing, channels, election, busy=lambda: writer.busy
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._manager = NotificationProcessManager(
            pool,
            tail,
            election,
            [personal, *sources],
            on_messages=self._delivery.wake,
            busy=lambda: writer.busy,
        )

    async def start(self) -> None:
        """Start to fill the outbox and to deliver."""
        await self._pool.open()
        await self._delivery.start()
        await self._manager.start()
        self._tasks = [asyncio.create_task(self._try_mail(), name="placet-mail-check")]

    async def close(self) -> None:
        """Stop. What is being delivered has some seconds to end."""
        await stop(self._tasks)
        await self._manager.close()
        await self._delivery.close()
        await self._pool.close()

    async def _try_mail(self) -> None:
        """Say in the log whether the SMTP server can be used. Mails wait while it can't."""
        for channel in self.channels:
            if isinstance(channel, EmailChannel):
                try:
                    await channel.check()
                except DeliveryFailed as failed:
                    hint = "mails wait; placet-server mail-test ADDRESS tries it"
                    _log.warning("mail_server_unusable", error=failed.reason, hint=hint)
                else:
                    _log.info("mail_server_ready")


class Telling(NamedTuple):
    """What tells people and programs. ``slack`` is None if it is not configured."""

    notifications: Notifications
    slack: "Slack | None"


def build_telling(settings: Settings, database_url: str, core: Core, services: Services) -> Telling:
    """Build the outbox, its channels, and Slack. Raises ConfigurationError."""
    pool = outbox_pool(database_url)
    reader = Reader(core.recent, pool)
    configured = all_channels(settings, pool, reader)
    slack = slack_of(settings, pool, reader, services, core.election)
    channels = [*configured.channels, *(slack.channels if slack else ())]
    services.notifications.offer(channels)
    notifications = Notifications(
        pool,
        core.writer,
        core.tail,
        core.election,
        people=DirectoryPeople(Directory(pool), services.substitutes.of),
        channels=channels,
        sources=[*configured.sources, *(slack.sources if slack else ())],
        fallback_group=settings.fallback_group,
    )
    return Telling(notifications, slack)
