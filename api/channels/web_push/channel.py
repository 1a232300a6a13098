"""The channel of web push."""

import asyncio
import base64
import hashlib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import msgspec
import structlog
from yarl import URL

from api.channels.web_push.subscriptions import PushSubscription, PushSubscriptions
from api.channels.webhooks.sender import TOTAL_SECONDS, UnreachableError, WebhookSender
from application.notifications.channel import DeliveryFailed, DeliverySkipped
from application.notifications.message import ASKS, Message, MessageKind
from application.notifications.people import Addressee

_log = structlog.get_logger(__name__)

NAME = "push"
TTL_SECONDS = 24 * 3600
"""So long a push service keeps a message for a browser that is not on the net."""
BODY_BYTES = 192
"""All bodies have one length, so that it does not tell the kind."""
_SUCCESS = range(200, 300)
_GONE = frozenset({404, 410})
_TRY_AGAIN = frozenset({408, 425, 429})
_CLIENT_ERRORS = range(400, 500)
_MARGIN_SECONDS = 5.0


class WebPushChannel:
    """A ``SubscribedChannel`` of application/notifications.

    ``subject`` is whom a push service can write to: an address as ``mailto:`` or ``https://``.
    """

    name = NAME
    to_people = True
    concurrency = 16
    per_recipient = 2
    # The sender gives up before.
    timeout = TOTAL_SECONDS + _MARGIN_SECONDS

    def __init__(
        self, subscriptions: PushSubscriptions, sender: WebhookSender, subject: str
    ) -> None:
        self._subscriptions = subscriptions
        self._sender = sender
        self._subject = subject

    def reaches(self, person: Addressee) -> bool:  # noqa: ARG002 - it asks of every channel
        """Everybody, of those who subscribed."""
        return True

    async def subscribers(self, people: Iterable[str]) -> Collection[str]:
        """Return which of these people allow messages in a browser."""
        return await self._subscriptions.people(people)

    async def deliver(self, message: Message) -> None:
        """Post a message to each browser of a person. It is delivered if one of them takes it.

        Raises DeliveryFailed, and DeliverySkipped if the person has no browser any more.
        """
        browsers = await self._subscriptions.of(message.recipient)
        secret = await self._subscriptions.secret() if browsers else b""
        failures = await asyncio.gather(
            *(self._deliver_to(browser, message, secret) for browser in browsers)
        )
        left = [failure for failure in failures if not isinstance(failure, DeliverySkipped)]
        if not left:
            raise DeliverySkipped("the person has no browser any more that takes messages")
        if None in left:
            return
        failed = [failure for failure in left if failure is not None]
        raise next((failure for failure in failed if not failure.permanent), failed[0])

    async def close(self) -> None:
        """Close the connections. A later delivery opens them again."""
        await self._sender.close()

    async def _deliver_to(
        self, browser: PushSubscription, message: Message, secret: bytes
    ) -> DeliveryFailed | DeliverySkipped | None:
        """Return why a browser did not take a message, or None if it did."""
        endpoint = browser.keys.endpoint
        # A thread, because the first call loads libraries.
        headers, body = await asyncio.to_thread(
            _request, browser, message, secret, self._subject, datetime.now(UTC)
        )
        try:
            answer = await self._sender.post(endpoint, headers, body)
        except UnreachableError as error:
            return DeliveryFailed(f"the push service {URL(endpoint).host}: {error}")
        if answer.status in _SUCCESS:
            return None
        if answer.status in _GONE:
            await self._subscriptions.drop(browser)
            _log.info("push_subscription_ended", person=message.recipient, status=answer.status)
            return DeliverySkipped("the browser does not take messages any more")
        return DeliveryFailed(
            f"the push service {URL(endpoint).host} answered {answer.status}",
            permanent=answer.status in _CLIENT_ERRORS and answer.status not in _TRY_AGAIN,
            retry_after=answer.retry_after,
        )


def _request(
    browser: PushSubscription, message: Message, secret: bytes, subject: str, now: datetime
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a request to a push service (RFC 8030, section 5)."""
    from api.channels.web_push import sealing  # noqa: PLC0415 - only where somebody subscribed

    endpoint = browser.keys.endpoint
    headers = {
        "authorization": sealing.authorization(endpoint, secret, subject, now),
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
        "ttl": str(TTL_SECONDS),
        "topic": _topic(message),
        "urgency": "high" if message.kind in ASKS else "normal",
        "user-agent": "Placet-Web-Push/1",
    }
    return headers, sealing.sealed(browser.keys, body_of(message))


def body_of(message: Message) -> bytes:
    """Return what a browser is told: the kind, and the path of the page to open. No content."""
    told = {"kind": str(message.kind), "link": _link(message)}
    return msgspec.json.encode(told).ljust(BODY_BYTES)


def _link(message: Message) -> str:
    if message.kind is MessageKind.DIGEST:
        return "/inbox"
    assert message.subject is not None
    return f"/approvals/{message.subject.approval.id}"


def _topic(message: Message) -> str:
    """Return the name under which a newer message replaces one that a browser has not got yet.

    At most 32 letters of base64url. The push service sees it, so it is a hash.
    """
    kind = "ASKS" if message.kind in ASKS else message.kind
    digest = hashlib.sha256(f"{_link(message)} {kind}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()
