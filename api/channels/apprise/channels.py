"""The two channels of the library ``apprise``: to people, and to groups."""

from api.channels.apprise import texts
from api.channels.apprise.configuration import AppriseUrls
from api.channels.apprise.groups import GROUP_CHANNEL, group_of, why_not
from api.channels.apprise.sender import SECONDS, AppriseSender
from application.event_store.chained_events import DAMAGE
from application.event_store.reader import Reader
from application.notifications.channel import DeliveryFailed, DeliverySkipped
from application.notifications.message import Message, MessageKind
from application.notifications.people import Addressee

_MARGIN_SECONDS = 5.0


class _AppriseChannel:
    concurrency = 8
    per_recipient = 2
    # The sender gives up before.
    timeout = SECONDS + _MARGIN_SECONDS

    def __init__(self, urls: AppriseUrls, sender: AppriseSender, public_url: str) -> None:
        self._urls = urls
        self._sender = sender
        self._public_url = public_url

    async def close(self) -> None:
        """Do nothing: no connection is kept."""


class ApprisePeopleChannel(_AppriseChannel):
    """Tells people, by the URLs that the file has for them. A ``Channel`` of the outbox."""

    name = "apprise"
    to_people = True

    def reaches(self, person: Addressee) -> bool:
        """Whether the file has URLs for the person."""
        return bool(self._urls.people.get(person.id))

    async def deliver(self, message: Message) -> None:
        """Send a message to all URLs of a person. Raises DeliveryFailed and DeliverySkipped."""
        urls = self._urls.people.get(message.recipient)
        if not urls:
            raise DeliverySkipped("PLACET_APPRISE names no URL for the person any more")
        if message.kind is MessageKind.DIGEST:
            title, text = texts.digest(message.items, self._public_url)
        else:
            assert message.subject is not None
            execution, approval = message.subject.execution, message.subject.approval
            title = texts.headline(message.kind, approval)
            text = texts.text(execution, approval, self._public_url)
        await self._sender.send(message.id, urls, title, text)


class AppriseGroupChannel(_AppriseChannel):
    """Tells groups, by the URLs that the file has for them. A ``Channel`` of the outbox."""

    name = GROUP_CHANNEL
    to_people = False

    def __init__(
        self, urls: AppriseUrls, sender: AppriseSender, public_url: str, reader: Reader
    ) -> None:
        super().__init__(urls, sender, public_url)
        self._reader = reader

    def reaches(self, person: Addressee) -> bool:  # noqa: ARG002 - it asks of every channel
        """No person is reached by this channel."""
        return False

    async def deliver(self, message: Message) -> None:
        """Send a message to all URLs of a group, if it still matters.

        Raises DeliveryFailed and DeliverySkipped.
        """
        group = group_of(message.recipient)
        urls = self._urls.groups.get(group)
        if not urls:
            raise DeliverySkipped("PLACET_APPRISE names no URL for the group any more")
        assert message.execution_id is not None
        assert message.ordinal is not None
        try:
            execution = await self._reader.execution(message.execution_id)
        except DAMAGE as error:
            raise DeliveryFailed(f"the execution can't be read: {error}", permanent=True) from None
        if execution is None or (approval := execution.approvals.get(message.ordinal)) is None:
            raise DeliverySkipped("there is no such approval")
        if reason := why_not(message.kind, group, approval):
            raise DeliverySkipped(reason)
        title = texts.headline(message.kind, approval)
        text = texts.text(execution, approval, self._public_url)
        await self._sender.send(message.id, urls, title, text)
