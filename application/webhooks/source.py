"""Which webhooks are told of an event: for each, a message of the outbox."""

from collections.abc import Sequence
from uuid import UUID

from application.event_store.chained_events import LoggedEvent
from application.event_store.reader import Reader
from application.notifications.message import MessageKind, NewMessage
from application.webhooks.event_types import TYPES, groups_of, ordinal_of, type_of
from application.webhooks.registrations import Webhook, Webhooks

CHANNEL = "webhook"
_RECIPIENT = "webhook:"


def recipient_of(webhook_id: UUID) -> str:
    """Return the recipient of a webhook's messages."""
    return f"{_RECIPIENT}{webhook_id}"


def webhook_id_of(recipient: str) -> UUID:
    """Return the id of the webhook that is a recipient."""
    return UUID(recipient.removeprefix(_RECIPIENT))


class WebhookSource:
    """Makes the messages of webhooks, as an ``application.notifications.source.MessageSource``.

    The webhooks are read again only for an event after the end of the log as it was at the last
    reading: no webhook that was made since gets an earlier one.
    """

    def __init__(self, webhooks: Webhooks, reader: Reader) -> None:
        self._webhooks = webhooks
        self._reader = reader
        self._known: list[Webhook] = []
        self._known_up_to = -1

    def concerns(self, event: LoggedEvent) -> bool:
        """Whether webhooks can get the event."""
        return type(event.recorded.event) in TYPES

    async def messages(self, event: LoggedEvent) -> Sequence[NewMessage]:
        """Return a message for each webhook that gets the event.

        Raises psycopg errors or PoolTimeout, and one of DAMAGE if the execution can't be read.
        """
        if event.position > self._known_up_to:
            self._known, self._known_up_to = await self._webhooks.in_use()
        recorded = event.recorded
        type_ = type_of(recorded.event)
        if type_ is None or not any(each.gets(type_, event.position) for each in self._known):
            return ()
        ordinal = ordinal_of(recorded.event)
        execution = await self._reader.after(event)
        groups = groups_of(execution.approvals[ordinal])
        return [
            NewMessage(
                kind=MessageKind.EVENT,
                recipient=recipient_of(webhook.id),
                channel=CHANNEL,
                execution_id=recorded.execution_id,
                version=recorded.version,
                position=event.position,
                ordinal=ordinal,
            )
            for webhook in self._known
            if webhook.gets(type_, event.position) and webhook.wants(execution.workflow, groups)
        ]
