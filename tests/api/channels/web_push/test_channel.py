"""Messages reach a real push service, and its answers decide what becomes of a browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from http_ece import ECEException

from api.channels.web_push.channel import WebPushChannel, body_of
from api.channels.web_push.subscriptions import PushSubscriptions
from api.channels.web_push.targets import PushTargets
from api.channels.web_push.vapid import application_server_key
from api.channels.webhooks.sender import WebhookSender
from application.notifications.channel import DeliveryFailed, DeliverySkipped
from application.notifications.message import MessageKind
from tests.api.channels.email.messages import asked, digest, message
from tests.api.channels.receiver import Receiver, answering
from tests.api.channels.web_push.browser import Browser, signer
from tests.application.server_process import ServerProcess

SUBJECT = "mailto:placet@example.com"


class Desk:
    """A channel, and a push service that answers as a test says."""

    def __init__(
        self, subscriptions: PushSubscriptions, receiver: Receiver, channel: WebPushChannel
    ) -> None:
        self.subscriptions, self.receiver, self.channel = subscriptions, receiver, channel

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, allowed: str = "127.0.0.1") -> AsyncIterator["Desk"]:
        sender = WebhookSender(PushTargets.parse(allowed))
        async with ServerProcess.open(url) as process, Receiver.open() as receiver, sender:
            receiver.answer = answering(201)
            subscriptions = PushSubscriptions(process.pool)
            yield cls(subscriptions, receiver, WebPushChannel(subscriptions, sender, SUBJECT))

    async def subscribe(self, name: str = "laptop", person: str = "ann") -> Browser:
        browser = Browser(self.receiver.url, name)
        assert await self.subscriptions.add(person, browser.keys, "Firefox/130 Linux")
        return browser

    async def failure(self) -> DeliveryFailed:
        with pytest.raises(DeliveryFailed) as failed:
            await self.channel.deliver(message(asked()))
        return failed.value


async def test_a_browser_is_told_the_kind_and_the_link_by_whom_it_knows(log_url: str) -> None:
    async with Desk.open(log_url) as desk:
        browser, other = await desk.subscribe(), await desk.subscribe("phone", "bob")
        told = message(asked(title="Buy the moon"))
        assert told.subject is not None
        await desk.channel.deliver(told)
        [got] = desk.receiver.received
        link = f"/approvals/{told.subject.approval.id}"
        assert got.path == "/send/laptop"
        assert browser.read(got) == {"kind": "OPENED", "link": link}
        with pytest.raises(ECEException):
            other.read(got)
        key, claims = signer(got)
        assert key == application_server_key(await desk.subscriptions.secret())
        assert claims["aud"] == desk.receiver.url
        assert claims["sub"] == SUBJECT
        ends = datetime.fromtimestamp(claims["exp"], UTC) - datetime.now(UTC)
        assert timedelta(hours=1) < ends < timedelta(hours=24)
        assert got.headers["content-encoding"] == "aes128gcm"
        assert got.headers["ttl"] == "86400"
        assert got.headers["urgency"] == "high"
        assert len(got.headers["topic"]) <= 32


async def test_a_newer_message_that_asks_replaces_an_older_one_and_no_other(log_url: str) -> None:
    async with Desk.open(log_url) as desk:
        await desk.subscribe()
        state = asked()
        for kind in (MessageKind.OPENED, MessageKind.REMINDER, MessageKind.COMMENTED):
            await desk.channel.deliver(message(state, kind))
        opened, reminder, comment = (got.headers["topic"] for got in desk.receiver.received)
        assert opened == reminder != comment


def test_the_length_of_a_message_tells_nothing() -> None:
    one = message(asked())
    all_kinds = [body_of(message(asked(), kind)) for kind in MessageKind if kind != "DIGEST"]
    assert len({len(body) for body in [*all_kinds, body_of(digest(one))]}) == 1


async def test_a_browser_that_its_push_service_does_not_know_is_removed(log_url: str) -> None:
    async with Desk.open(log_url) as desk:
        for status in (404, 410):
            desk.receiver.answer = answering(status)
            await desk.subscribe()
            with pytest.raises(DeliverySkipped):
                await desk.channel.deliver(message(asked()))
            assert await desk.subscriptions.of("ann") == []
        with pytest.raises(DeliverySkipped):
            await desk.channel.deliver(message(asked()))
        assert len(desk.receiver.received) == 2


async def test_what_a_push_service_refuses_is_tried_again_if_that_can_help(log_url: str) -> None:
    async with Desk.open(log_url) as desk:
        await desk.subscribe()
        for status, permanent in ((400, True), (403, True), (429, False), (503, False)):
            desk.receiver.answer = answering(status, retry_after="7")
            failure = await desk.failure()
            assert failure.reason == f"the push service 127.0.0.1 answered {status}"
            assert (failure.permanent, failure.retry_after) == (permanent, 7.0)
        assert len(await desk.subscriptions.of("ann")) == 1


async def test_a_person_is_told_if_one_of_their_browsers_is(log_url: str) -> None:
    async with Desk.open(log_url) as desk, Receiver.open() as down:
        down.answer = answering(500)
        broken = Browser(down.url)
        await desk.subscriptions.add("ann", broken.keys, "")
        browser = await desk.subscribe()
        await desk.channel.deliver(message(asked()))
        assert len(down.received) == 1
        assert browser.read(desk.receiver.received[0])["kind"] == "OPENED"


async def test_nothing_goes_to_an_address_of_the_own_network(log_url: str) -> None:
    async with Desk.open(log_url, allowed="") as desk:
        await desk.subscribe()
        assert "not a public address" in (await desk.failure()).reason
        assert desk.receiver.received == []
