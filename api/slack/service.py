"""All parts of Slack in one server process."""

import asyncio

import structlog
from psycopg_pool import AsyncConnectionPool
from starlette.types import ASGIApp

from api.context import Services
from api.settings import Settings
from api.slack.channel import SlackChannel
from api.slack.channel_file import load_channels
from api.slack.client import SlackClient, SlackError
from api.slack.deciding import Deciding
from api.slack.group_channels import GroupChannelMessages, GroupChannels
from api.slack.http import PATH, SlackRequests
from api.slack.interactions import Interactions
from api.slack.posted_cards import PostedCards
from api.slack.showing import Shows
from api.slack.socket_mode import SocketMode
from api.slack.updates import CardUpdates
from application.background_tasks import stop
from application.directory import Directory, KnownPerson
from application.event_store.reader import Reader
from application.notifications.channel import Channel
from application.notifications.source import MessageSource
from application.process_managers.leader_election import LeaderElection
from application.substitutes import Substitutes
from domain.values import Principal

_log = structlog.get_logger(__name__)

CHECK_SECONDS = 60.0


class Slack:
    """The connection to Slack: what people are told, and what they decide there.

    ``apps`` answer its requests over HTTP, by their paths. ``channels`` and ``sources`` are for the
    outbox. ``pool`` must be open before the start.
    """

    def __init__(
        self,
        settings: Settings,
        bot_token: str,
        pool: AsyncConnectionPool,
        reader: Reader,
        services: Services,
        election: LeaderElection,
    ) -> None:
        client = SlackClient(bot_token, settings.slack_api_url)
        # Not that of the services, whose connections queries of clients can take.
        directory, address = Directory(pool), settings.base_url
        people = Principals(directory, services.substitutes)
        cards = PostedCards(pool)
        shows = Shows(reader, people.known, address)
        deciding = Deciding(client, directory, reader, services.writer, people.of)
        self._client = client
        self._tasks: list[asyncio.Task[None]] = []
        self._interactions = Interactions(client, deciding, cards)
        self._updates = CardUpdates(client, cards, shows, services.tail, election)
        self._socket: SocketMode | None = None
        if settings.slack_app_token is not None:
            self._socket = SocketMode(client, settings.slack_app_token, self._interactions)
        self.apps: dict[str, ASGIApp] = {}
        if settings.slack_signing_secret is not None:
            requests = SlackRequests(settings.slack_signing_secret, self._interactions)
            self.apps[PATH] = requests
        self.channels: list[Channel] = [
            SlackChannel(client, reader, directory, cards, shows, address),
            GroupChannels(client, reader, cards, shows),
        ]
        groups = load_channels(settings.slack_channels)
        self.sources: list[MessageSource] = [GroupChannelMessages(reader, groups)]

    async def start(self) -> None:
        """Start to follow the log, and to listen."""
        self._tasks = [asyncio.create_task(self._check_token(), name="placet-slack-token")]
        await self._updates.start()
        if self._socket is not None:
            await self._socket.start()

    async def close(self) -> None:
        """Stop. The channels can still deliver until they are closed."""
        await stop(self._tasks)
        if self._socket is not None:
            await self._socket.close()
        await self._updates.close()
        await self._interactions.close()

    async def _check_token(self) -> None:
        """Log whether the bot's token is good, so that nobody waits for a message to know it."""
        while True:
            try:
                _log.info("slack_workspace", team=await self._client.team())
            except SlackError as error:
                _log.warning("slack_token_not_checked", error=str(error))
                await asyncio.sleep(CHECK_SECONDS)
            else:
                return


class Principals:
    """Who people are at this moment, and whose substitutes."""

    def __init__(self, directory: Directory, substitutes: Substitutes) -> None:
        self._directory = directory
        self._substitutes = substitutes

    async def known(self, person: str) -> Principal | None:
        """Return a person, None if they are unknown or deactivated."""
        known = await self._directory.person(person)
        return None if known is None or not known.active else await self.of(known)

    async def of(self, person: KnownPerson) -> Principal:
        """Return a person as they act now."""
        return await self._substitutes.of(person.principal)
