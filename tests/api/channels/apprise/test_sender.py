"""Messages through the library ``apprise`` to a real receiver."""

import asyncio
from uuid import uuid4

import pytest
from aiohttp import web

from api.channels.apprise.sender import AppriseSender
from application.notifications.channel import DeliveryFailed
from tests.api.channels.receiver import Receiver, answering
from tests.support.patience import HANGS


def url_of(receiver: Receiver, path: str) -> str:
    return receiver.url.replace("http://", "json://") + path


async def test_title_and_text_arrive() -> None:
    async with Receiver.open() as receiver:
        await AppriseSender().send(uuid4(), [url_of(receiver, "/a")], "Title", "1 < 2\nhttps://x")
        [received] = receiver.received
    assert received.path == "/a"
    assert (received.event["title"], received.event["message"]) == ("Title", "1 < 2\nhttps://x")


async def test_a_later_try_goes_only_to_those_who_did_not_take_it() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await answering(500 if request.path == failing else 200)(request)

    sender, message_id, failing = AppriseSender(), uuid4(), "/b"
    async with Receiver.open() as receiver:
        receiver.answer = answer
        urls = [url_of(receiver, path) for path in ("/a", "/b")]
        with pytest.raises(DeliveryFailed, match=r"^json did not take it") as failed:
            await sender.send(message_id, urls, "Title", "Text")
        assert not failed.value.permanent
        failing = ""
        await sender.send(message_id, urls, "Title", "Text")
    assert sorted(each.path for each in receiver.received) == ["/a", "/b", "/b"]


async def test_a_call_that_hangs_is_given_up_and_does_not_hold_up_others() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await ends.wait()
        return web.Response()

    sender, ends = AppriseSender(seconds=0.3, max_threads=1), asyncio.Event()
    async with Receiver.open() as receiver:
        receiver.answer = answer
        with pytest.raises(DeliveryFailed, match=r"json: no answer within 0\.3 s"):
            await sender.send(uuid4(), [url_of(receiver, "/slow")], "Title", "Text")
        with pytest.raises(DeliveryFailed, match="1 earlier calls of the library"):
            await sender.send(uuid4(), [url_of(receiver, "/quick")], "Title", "Text")
        ends.set()
        async with asyncio.timeout(HANGS):
            while sender._running:
                await asyncio.sleep(0.01)
        sender = AppriseSender()
        await sender.send(uuid4(), [url_of(receiver, "/quick")], "Title", "Text")
