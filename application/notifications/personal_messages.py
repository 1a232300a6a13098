"""The messages to people: for each person who is told, one for each channel that they want."""

from collections.abc import Sequence
from datetime import UTC, datetime

from application.event_store.chained_events import LoggedEvent
from application.event_store.reader import Reader
from application.notifications.channel import Channel, SubscribedChannel
from application.notifications.message import NewMessage, message_id
from application.notifications.preferences import (
    DEFAULT,
    MessageTiming,
    Preferences,
    PreferencesTable,
)
from application.notifications.recipients import TELLING, Recipients, Told


class PersonalMessages:
    """The source of the messages to people, for the channels that are set up."""

    def __init__(
        self,
        reader: Reader,
        recipients: Recipients,
        preferences: PreferencesTable,
        channels: Sequence[Channel],
    ) -> None:
        self._reader = reader
        self._recipients = recipients
        self._preferences = preferences
        self._channels = [channel for channel in channels if channel.to_people]

    def concerns(self, event: LoggedEvent) -> bool:
        """Whether people may be told of the event."""
        return bool(self._channels) and isinstance(event.recorded.event, TELLING)

    async def messages(self, event: LoggedEvent) -> list[NewMessage]:
        """Return the messages that an event causes. Raises DAMAGE if its state can't be read."""
        happened = event.recorded.event
        assert isinstance(happened, TELLING)
        execution = await self._reader.after(event)
        told = await self._recipients.of(event, execution, execution.approvals[happened.ordinal])
        if not told:
            return []
        wishes = await self._preferences.of(each.person.id for each in told)
        subscribers = {
            channel.name: await channel.subscribers(each.person.id for each in told)
            for channel in self._channels
            if isinstance(channel, SubscribedChannel)
        }
        now = datetime.now(UTC)
        return [
            _message(event, happened.ordinal, each, channel.name, preferences, now)
            for each in told
            for preferences in [wishes.get(each.person.id, DEFAULT)]
            for channel in self._channels
            if preferences.timing(channel.name) is not MessageTiming.NEVER
            if channel.reaches(each.person)
            if each.person.id in subscribers.get(channel.name, (each.person.id,))
        ]


def _message(
    event: LoggedEvent,
    ordinal: int,
    told: Told,
    channel: str,
    preferences: Preferences,
    now: datetime,
) -> NewMessage:
    due_at, digest_id = preferences.first_moment(now), None
    if preferences.timing(channel) is MessageTiming.DIGEST:
        due_at = preferences.next_digest(now)
        digest_id = message_id("digest", channel, told.person.id, due_at.isoformat())
    return NewMessage(
        kind=told.kind,
        recipient=told.person.id,
        channel=channel,
        execution_id=event.recorded.execution_id,
        version=event.recorded.version,
        position=event.position,
        ordinal=ordinal,
        due_at=None if due_at == now else due_at,
        digest_id=digest_id,
    )
