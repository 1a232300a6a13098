"""Tokens that end, and the function that gives others: asked once, and only when it must be."""

import asyncio
import json
import logging
import threading
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from aiohttp import web

import placet.sync
from placet import Client, errors
from placet.client.transport.token_source import TokenSource, seconds_left
from tests.sdk.client.transport.test_http import data, failure
from tests.sdk.peer import Peer

VIEWER: dict[str, Any] = {"id": "ada", "name": "Ada", "roles": [], "groups": [], "queues": None}


class Issuer:
    """Gives ``token-1``, ``token-2`` and so on. The service takes the latest that is ``good``."""

    def __init__(self) -> None:
        self.asked = 0
        self.good = "token-1"
        self.seen: list[str] = []

    def token(self) -> str:
        self.asked += 1
        return f"token-{self.asked}\n"

    async def token_soon(self) -> str:
        await asyncio.sleep(0)
        return self.token()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.headers["authorization"].removeprefix("Bearer "))
        if self.seen[-1] != self.good:
            return failure("UNAUTHENTICATED", 401)
        return data(VIEWER)


def jwt(seconds: float | None = None, **claims: Any) -> str:
    """Make a token that ends in so many seconds, with a signature that nobody could verify."""
    if seconds is not None:
        claims["exp"] = time.time() + seconds
    payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


@pytest.fixture
def issuer(peer: Peer) -> Issuer:
    issuer = Issuer()
    peer.post = issuer.answer
    return issuer


@pytest.mark.parametrize("kind", ["token", "token_soon"])
async def test_a_token_that_is_refused_is_replaced_once_for_all(
    peer: Peer, issuer: Issuer, kind: str
) -> None:
    async with Client(peer.url, getattr(issuer, kind)) as client:
        await asyncio.gather(*(client.viewer() for _ in range(10)))
        assert issuer.asked == 1
        issuer.good = "token-2"
        await asyncio.gather(*(client.viewer() for _ in range(10)))
    assert issuer.asked == 2
    assert issuer.seen.count("token-2") == 10


async def test_a_blocking_client_takes_a_function_too(peer: Peer, issuer: Issuer) -> None:
    def ask() -> str:
        with placet.sync.Client(peer.url, issuer.token) as client:
            return client.viewer().id

    issuer.good = "token-2"
    assert await asyncio.to_thread(ask) == "ada"
    assert issuer.seen == ["token-1", "token-2"]


async def test_no_other_token_says_what_to_do(peer: Peer, issuer: Issuer) -> None:
    issuer.good = "another"
    async with Client(peer.url, "fixed") as client:
        with pytest.raises(errors.Unauthenticated, match="token= also takes a function"):
            await client.viewer()
    assert issuer.seen == ["fixed"]
    async with Client(peer.url, lambda: "the-same") as client:
        with pytest.raises(errors.Unauthenticated, match="was given gave no other"):
            await client.viewer()
    assert issuer.seen == ["fixed", "the-same"]


@pytest.mark.parametrize("given", [None, "", " ", 7])
async def test_what_is_no_token_is_said(peer: Peer, given: Any) -> None:
    async with Client(peer.url, lambda: given) as client:
        with pytest.raises(errors.Unauthenticated, match=f"must give a token, not {given!r}"):
            await client.viewer()


async def test_a_function_that_fails_is_asked_again(peer: Peer, issuer: Issuer) -> None:
    async def token() -> str:
        if issuer.token() == "token-1\n":
            raise OSError("the identity provider is away")
        return "token-1"

    async with Client(peer.url, token) as client:
        assert (await client.viewer()).id == "ada"
    async with Client(peer.url, lambda: 1 / 0, retry_for=0.1) as client:  # type: ignore[arg-type]
        with pytest.raises(errors.Unavailable, match="failed: ZeroDivisionError"):
            await client.viewer()


async def test_a_caller_that_gives_up_does_not_take_the_token_from_others() -> None:
    go = asyncio.Event()

    async def token() -> str:
        await go.wait()
        return "token"

    source = TokenSource(token)
    first, second = (asyncio.create_task(source.current()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert await second == "token"


async def test_a_sync_function_does_not_stop_the_loop() -> None:
    def token() -> str:
        return threading.current_thread().name

    assert await TokenSource(token).current() != threading.current_thread().name


async def test_a_token_about_to_end_is_replaced_and_nobody_waits_for_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1_000.0
    monkeypatch.setattr("placet.client.transport.token_source.monotonic", lambda: clock)
    given: list[str | Exception] = [jwt(600), OSError("away"), jwt(600, n=2)]
    first = str(given[0])

    async def token() -> str:
        found = given.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def later(seconds: float) -> str:
        nonlocal clock
        clock += seconds
        current = await source.current()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return current

    source = TokenSource(token)
    assert await source.current() == first
    assert await later(560) == first
    assert len(given) == 2
    with caplog.at_level(logging.WARNING, "placet"):
        assert await later(15) == first
    assert "could not be replaced yet" in caplog.text
    assert await later(1) == first
    assert len(given) == 1
    assert await later(5) == first
    assert not given
    assert await later(0) != first


@pytest.mark.parametrize("claims", [{}, {"exp": "soon"}, {"exp": None}])
def test_a_jwt_may_not_say_when_it_ends(claims: dict[str, Any]) -> None:
    assert seconds_left(jwt(**claims)) is None


@pytest.mark.parametrize("seconds", [100, -5])
def test_a_jwt_may_say_when_it_ends(seconds: int) -> None:
    assert seconds_left(jwt(seconds)) == pytest.approx(seconds, abs=5)


@pytest.mark.parametrize("token", ["placet_abc", "a.b.c", "..", "a.\N{SNOWMAN}.c", "e30.W10.c"])
def test_another_token_does_not(token: str) -> None:
    assert seconds_left(token) is None


async def test_a_clock_that_is_wrong_does_not_ask_without_end() -> None:
    asked = 0

    def token() -> str:
        nonlocal asked
        asked += 1
        return jwt(-60)

    source = TokenSource(token)
    for _ in range(3):
        await source.current()
    assert asked == 1


async def test_streams_go_on_with_the_next_token(peer: Peer) -> None:
    issuer = Issuer()
    wanted = [f"Bearer token-{number}" for number in (1, 2)]
    peer.accept = lambda opening: opening["payload"] == {"authorization": wanted[0]}
    async with Client(peer.url, issuer.token) as client:
        reading = asyncio.ensure_future(anext(client.events_stream(after="1")))
        talk = await peer.conversation()
        await talk.subscription()
        del wanted[0]
        await talk.hang_up(4401)
        again = await peer.conversation()
        await again.subscription()
        reading.cancel()
    assert issuer.asked == 2
