"""The channel of webhooks: posts each message of the outbox to its receiver."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

import structlog

from api.channels.webhooks.cloud_event import body_of
from api.channels.webhooks.sender import TOTAL_SECONDS, Answer, UnreachableError, WebhookSender
from api.channels.webhooks.signatures import signed_headers
from application.event_store.chained_events import DAMAGE, Head, advance
from application.event_store.reader import Reader
from application.notifications.channel import DeliveryFailed, DeliverySkipped
from application.notifications.message import Message
from application.notifications.people import Addressee
from application.webhooks.registrations import Webhook, Webhooks
from application.webhooks.source import CHANNEL, webhook_id_of
from domain.execution.events import Recorded
from domain.execution.state import Execution

_log = structlog.get_logger(__name__)

_SUCCESS = range(200, 300)
_REDIRECTS = range(300, 400)
_GONE = 410
_MARGIN_SECONDS = 5.0
SHORT = 50
"""Up to this version all events of an execution are read and folded."""
REMEMBER_SECONDS = 1.0
"""For how long the secrets and the address of a webhook are not read again."""


Signing = tuple[Webhook, Sequence[str]] | None
"""A webhook and its secrets; None if it was deleted or is disabled."""


class WebhookChannel:
    """An ``application.notifications.channel.Channel``.

    ``public_url`` is the address of the server without a slash at its end: the source of its
    events, and the beginning of links.
    """

    name = CHANNEL
    concurrency = 128
    per_recipient = 32
    # The sender gives up before.
    timeout = TOTAL_SECONDS + _MARGIN_SECONDS
    to_people = False

    def __init__(
        self, webhooks: Webhooks, reader: Reader, sender: WebhookSender, public_url: str
    ) -> None:
        self._webhooks = webhooks
        self._reader = reader
        self._sender = sender
        self._public_url = public_url
        self._known: dict[UUID, tuple[float, Signing]] = {}
        self._looking_up = asyncio.Lock()

    def reaches(self, person: Addressee) -> bool:  # noqa: ARG002 - it asks of every channel
        """No person is reached."""
        return False

    async def deliver(self, message: Message) -> None:
        """Post a message. A status from 200 to 299 means that the receiver has it.

        Raises DeliveryFailed, and DeliverySkipped for a webhook that was deleted or disabled.
        """
        found = await self._signing(webhook_id_of(message.recipient))
        if found is None:
            raise DeliverySkipped("the webhook was deleted or is disabled")
        webhook, secrets = found
        body = await self._body(message, webhook)
        headers = signed_headers(str(message.id), datetime.now(UTC), body, secrets)
        try:
            answer = await self._sender.post(webhook.url, headers, body)
        except UnreachableError as error:
            raise DeliveryFailed(str(error)) from None
        if answer.status not in _SUCCESS:
            await self._refused(webhook, answer)

    async def close(self) -> None:
        """Close the connections. A later delivery opens them again."""
        await self._sender.close()

    async def _signing(self, id_: UUID) -> Signing:
        # Of many messages at once, only one looks it up.
        async with self._looking_up:
            now = monotonic()
            known = self._known.get(id_)
            if known is None or known[0] <= now:
                found = await self._webhooks.signing(id_)
                known = self._known[id_] = (now + REMEMBER_SECONDS, found)
            return known[1]

    async def _body(self, message: Message, webhook: Webhook) -> bytes:
        try:
            recorded, execution = await self._event(message)
        except DAMAGE as error:
            raise DeliveryFailed(f"the event can't be read: {error}", permanent=True) from None
        assert message.ordinal is not None
        return body_of(
            recorded,
            execution,
            execution.approvals[message.ordinal],
            self._public_url,
            include_payload=webhook.include_payload,
        )

    async def _event(self, message: Message) -> tuple[Recorded, Execution]:
        """Return the event that a message is about, and the state right after it."""
        assert message.execution_id is not None
        id_, version = message.execution_id, message.version
        if version <= SHORT:
            # One statement, where the others take three.
            events = await self._reader.history(id_, limit=version)
            if len(events) == version:
                head: Head | None = None
                for event in events:
                    head = advance(head, event)
                assert head is not None
                return events[-1].recorded, head.execution
        events = await self._reader.versions(id_, [version])
        execution = await self._reader.past.at_version(id_, version)
        if not events or execution is None:
            raise DeliveryFailed(f"the log has no version {version} of {id_}", permanent=True)
        return events[0].recorded, execution

    async def _refused(self, webhook: Webhook, answer: Answer) -> None:
        """Raise DeliveryFailed for an answer that is no success."""
        if answer.status == _GONE:
            reason = "the receiver answered 410 Gone"
            self._known.pop(webhook.id, None)
            if await self._webhooks.disable(webhook.id, reason):
                _log.warning("webhook_disabled", webhook=webhook.name, reason=reason)
            raise DeliveryFailed(f"{reason}; the webhook is disabled", permanent=True)
        reason = f"the receiver answered {answer.status}"
        if answer.status in _REDIRECTS:
            reason += "; redirects are not followed, give the webhook the address it leads to"
        raise DeliveryFailed(reason, retry_after=answer.retry_after)
