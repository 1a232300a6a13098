"""Builds the channels that are configured.

What only one channel needs is loaded if it is configured: Slack's library takes a second and 20 MB.
"""

from typing import TYPE_CHECKING, NamedTuple

from psycopg_pool import AsyncConnectionPool

from api.channels.apprise.channels import AppriseGroupChannel, ApprisePeopleChannel
from api.channels.apprise.configuration import load_apprise
from api.channels.apprise.groups import GroupSource
from api.channels.apprise.sender import AppriseSender
from api.channels.email.channel import EmailChannel
from api.channels.web_push.channel import WebPushChannel
from api.channels.web_push.subscriptions import PushSubscriptions
from api.channels.web_push.targets import PushTargets
from api.channels.webhooks.administration import targets_of
from api.channels.webhooks.channel import WebhookChannel
from api.channels.webhooks.sender import WebhookSender
from api.context import Services
from api.settings import Settings
from application.event_store.reader import Reader
from application.notifications.channel import Channel
from application.notifications.source import MessageSource
from application.process_managers.leader_election import LeaderElection
from application.webhooks.registrations import Webhooks
from application.webhooks.source import WebhookSource

if TYPE_CHECKING:
    from api.slack.service import Slack


class Channels(NamedTuple):
    """Channels, and what makes messages for them besides those to people."""

    channels: tuple[Channel, ...]
    sources: tuple[MessageSource, ...] = ()


def all_channels(settings: Settings, pool: AsyncConnectionPool, reader: Reader) -> Channels:
    """Return the channels that are set up. Raises ConfigurationError."""
    sets = (
        email_channels(settings),
        webhook_channels(settings, pool, reader),
        apprise_channels(settings, reader),
        push_channels(settings, pool),
    )
    return Channels(
        tuple(channel for each in sets for channel in each.channels),
        tuple(source for each in sets for source in each.sources),
    )


def email_channels(settings: Settings) -> Channels:
    """Return the channel of e-mail, if there is an SMTP server."""
    if settings.smtp_server is None:
        return Channels(())
    return Channels(
        (
            EmailChannel(
                settings.smtp_server,
                settings.sender,
                settings.base_url,
                timeout=settings.smtp_timeout,
            ),
        )
    )


def webhook_channels(settings: Settings, pool: AsyncConnectionPool, reader: Reader) -> Channels:
    """Return the channel of webhooks. Raises ConfigurationError."""
    webhooks = Webhooks(pool)
    sender = WebhookSender(targets_of(settings))
    channel = WebhookChannel(webhooks, reader, sender, settings.base_url)
    return Channels((channel,), (WebhookSource(webhooks, reader),))


def apprise_channels(settings: Settings, reader: Reader) -> Channels:
    """Return the channels of the library apprise, if any. Raises ConfigurationError."""
    urls = load_apprise(settings.apprise)
    if urls is None:
        return Channels(())
    sender = AppriseSender()
    return Channels(
        (
            ApprisePeopleChannel(urls, sender, settings.base_url),
            AppriseGroupChannel(urls, sender, settings.base_url, reader),
        ),
        (GroupSource(urls.groups.keys(), reader),),
    )


def push_channels(settings: Settings, pool: AsyncConnectionPool) -> Channels:
    """Return the channel of web push, if people can open the console under a known address."""
    subscriptions = push_subscriptions(settings, pool)
    if subscriptions is None:
        return Channels(())
    sender = WebhookSender(PushTargets())
    return Channels((WebPushChannel(subscriptions, sender, push_subject(settings)),))


def push_subscriptions(settings: Settings, pool: AsyncConnectionPool) -> PushSubscriptions | None:
    """Return the browsers in which people are told, None if they can't be."""
    return None if settings.public_url is None else PushSubscriptions(pool)


def push_subject(settings: Settings) -> str:
    """Return whom a push service can write to (RFC 8292, section 2.1)."""
    if settings.mail_from:
        return f"mailto:{settings.sender.address}"
    if settings.base_url.startswith("https://"):
        return settings.base_url
    # Browsers take this only from a server on the same machine.
    return "mailto:placet@localhost"


def slack_of(
    settings: Settings,
    pool: AsyncConnectionPool,
    reader: Reader,
    services: Services,
    election: LeaderElection,
) -> "Slack | None":
    """Return the connection to Slack, None if none is configured. Raises ConfigurationError."""
    if settings.slack_bot_token is None:
        return None
    from api.slack.service import Slack  # noqa: PLC0415

    return Slack(settings, settings.slack_bot_token, pool, reader, services, election)
