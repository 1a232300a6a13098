"""Streams over a WebSocket that comes and goes."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from placet import Client, errors
from placet.client.transport import graphql_ws
from placet.models.responses import RecordedEvent
from tests.sdk.peer import Peer
from tests.support.patience import HANGS

pytestmark = pytest.mark.usefixtures("prompt")


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once."""
    monkeypatch.setattr("placet.client.transport.reconnecting.PAUSE_SECONDS", 0.01)


def event(version: int) -> dict[str, Any]:
    return {
        "position": str(version),
        "executionId": "x",
        "version": version,
        "type": "Claimed",
        "topic": "execution.claimed.v1",
        "data": {},
        "actor": {"id": "engine", "name": None},
        "at": "2026-01-02T03:04:05.000006Z",
        "commandId": "c",
        "correlationId": "c",
        "causationId": None,
        "previousHash": "0" * 64,
        "hash": "1" * 64,
        "storedBytes": "e30=",
    }


class Reader:
    """Reads a stream of an execution's events in a task of its own."""

    def __init__(self, client: Client, after: int = 0) -> None:
        self.versions: list[int] = []
        self._read = asyncio.Event()
        self.task = asyncio.create_task(self._follow(client, after))

    async def until(self, version: int) -> list[int]:
        async with asyncio.timeout(HANGS):
            while version not in self.versions:
                self._read.clear()
                await self._read.wait()
        return self.versions

    async def _follow(self, client: Client, after: int) -> None:
        async with aclosing(client.execution_events("x", after_version=after)) as stream:
            async for each in stream:
                self._note(each)

    def _note(self, each: RecordedEvent) -> None:
        self.versions.append(each.version)
        self._read.set()


async def stop(reader: Reader) -> None:
    reader.task.cancel()
    await asyncio.wait([reader.task])


async def test_the_token_goes_with_the_opening(peer: Peer, client: Client) -> None:
    openings: list[dict[str, Any]] = []

    def accept(opening: dict[str, Any]) -> bool:
        openings.append(opening)
        return True

    peer.accept = accept
    reader = Reader(client)
    await peer.conversation()
    assert openings == [{"type": "connection_init", "payload": {"authorization": "Bearer a-token"}}]
    await stop(reader)


async def test_goes_on_from_the_last_version_without_a_repeat(peer: Peer, client: Client) -> None:
    reader = Reader(client, after=3)
    talk = await peer.conversation()
    key, variables = await talk.subscription()
    assert variables == {"id": "x", "after": 3}
    await talk.next(key, event(4))
    await talk.next(key, event(5))
    await reader.until(5)
    await talk.hang_up()

    talk = await peer.conversation()
    key, variables = await talk.subscription()
    assert variables == {"id": "x", "after": 5, "hash": "1" * 64}
    await talk.next(key, event(5))
    await talk.next(key, event(6))
    assert await reader.until(6) == [4, 5, 6]
    await stop(reader)


async def test_what_came_before_the_connection_ended_is_delivered(
    peer: Peer, client: Client
) -> None:
    reader = Reader(client)
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    for version in range(1, 101):
        await talk.next(key, event(version))
    await talk.hang_up()
    assert await reader.until(100) == list(range(1, 101))
    await stop(reader)


@pytest.mark.parametrize("code", ["OVERLOADED", "UNAVAILABLE"])
async def test_asks_again_when_it_was_not_taken(peer: Peer, client: Client, code: str) -> None:
    reader = Reader(client)
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    await talk.error(key, code)
    key, _ = await talk.subscription()
    await talk.next(key, event(1))
    assert await reader.until(1) == [1]
    await stop(reader)


async def test_asks_again_when_the_service_completes_it(peer: Peer, client: Client) -> None:
    reader = Reader(client)
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    await talk.next(key, event(1))
    await talk.send(id=key, type="complete")
    _, variables = await talk.subscription()
    assert variables["after"] == 1
    await stop(reader)


async def test_it_ends_if_there_is_nothing_to_follow(peer: Peer, client: Client) -> None:
    reader = Reader(client)
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    await talk.send(id=key, type="complete")
    async with asyncio.timeout(HANGS):
        await reader.task


@pytest.mark.parametrize("code", ["FORBIDDEN", "BAD_REQUEST", "UNAUTHENTICATED"])
async def test_an_error_that_stays_is_raised(peer: Peer, client: Client, code: str) -> None:
    reader = Reader(client)
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    await talk.error(key, code)
    with pytest.raises(errors.REQUEST_ERRORS[code]):
        await reader.task


async def test_a_token_that_ends_ends_the_stream(peer: Peer, client: Client) -> None:
    reader = Reader(client)
    talk = await peer.conversation()
    await talk.hang_up(4401)
    with pytest.raises(errors.Unauthenticated):
        await reader.task


async def test_an_unknown_token_is_not_tried_again(peer: Peer, client: Client) -> None:
    peer.accept = lambda _: False
    with pytest.raises(errors.Unauthenticated):
        await Reader(client).task


async def test_streams_share_one_connection(peer: Peer, client: Client) -> None:
    one, other = Reader(client), Reader(client)
    talk = await peer.conversation()
    first, _ = await talk.subscription()
    second, _ = await talk.subscription()
    await talk.next(second, event(2))
    await talk.next(first, event(1))
    await asyncio.gather(one.until(1), other.until(2))
    await stop(one)
    assert (await talk.expect("complete"))["id"] == first
    await talk.next(second, event(3))
    assert await other.until(3) == [2, 3]
    await stop(other)
    assert peer.conversations.empty()


async def test_a_ping_is_answered(peer: Peer, client: Client) -> None:
    reader = Reader(client)
    talk = await peer.conversation()
    await talk.send(type="ping")
    await talk.expect("pong")
    await stop(reader)


async def test_a_slow_reader_loses_nothing_and_holds_up_nobody(
    peer: Peer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_ws, "MAX_WAITING", 3)
    slow = client.execution_events("x", after_version=0)
    first = asyncio.ensure_future(anext(slow))
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    await talk.next(key, event(1))
    assert (await first).version == 1

    for version in range(2, 10):
        await talk.next(key, event(version))
    assert (await talk.expect("complete"))["id"] == key
    brisk = Reader(client)
    other, _ = await talk.subscription()
    await talk.next(other, event(1))
    await brisk.until(1)

    kept = [(await anext(slow)).version for _ in range(3)]
    assert kept == [2, 3, 4]
    again = asyncio.ensure_future(anext(slow))
    key, variables = await talk.subscription()
    assert variables["after"] == 4
    await talk.next(key, event(5))
    assert (await again).version == 5
    await slow.aclose()
    await stop(brisk)
