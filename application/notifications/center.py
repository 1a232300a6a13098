"""What clients may ask and change about messages: the outbox, and the preferences of people."""

from collections.abc import Iterable

from psycopg_pool import AsyncConnectionPool

from application.notifications.channel import Channel
from application.notifications.outbox_query import OutboxQuery
from application.notifications.preferences import PreferencesTable


class NotificationCenter:
    """``channels`` are the names of those that tell people, in the order of their set-up."""

    def __init__(self, reads: AsyncConnectionPool, pool: AsyncConnectionPool) -> None:
        self.outbox = OutboxQuery(reads, pool)
        self.preferences = PreferencesTable(pool)
        self.channels: tuple[str, ...] = ()

    def offer(self, channels: Iterable[Channel]) -> None:
        """Let people choose among these channels."""
        self.channels = tuple(channel.name for channel in channels if channel.to_people)
