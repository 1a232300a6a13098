"""Names of receivers are looked up apart from everything else, and once for all who ask."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from api.channels.webhooks.resolver import OwnThreadsResolver
from api.channels.webhooks.sender import WebhookSender
from api.channels.webhooks.targets import Targets
from tests.api.channels.receiver import Receiver


async def test_a_name_of_the_system_is_found() -> None:
    async with Receiver.open() as receiver, WebhookSender(Targets.parse("localhost")) as sender:
        for _ in range(2):
            url = receiver.url.replace("127.0.0.1", "localhost")
            assert (await sender.post(url, {}, b"{}")).status == 204
            await sender.close()


async def test_a_name_server_that_does_not_answer_holds_up_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers, asked = threading.Event(), 0
    look_up = socket.getaddrinfo

    def slow(host: str, *rest: Any, **more: Any) -> Any:
        nonlocal asked
        if host != "slow.example":
            return look_up(host, *rest, **more)
        asked += 1
        answers.wait(30)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = OwnThreadsResolver()
    waiting = [asyncio.create_task(resolver.resolve("slow.example", 443)) for _ in range(50)]
    await asyncio.sleep(0)
    try:
        # Others are looked up, and the threads of the event loop are free.
        assert await resolver.resolve("127.0.0.1", 80)
        assert await asyncio.to_thread(lambda: True)
    finally:
        answers.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(each) for each in results} == {socket.gaierror}
    assert asked == 1
    await resolver.close()
