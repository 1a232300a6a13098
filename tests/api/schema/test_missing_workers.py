"""A worker is missing when its connection breaks off, and not when either side has ended it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from application.workers.leases import Leases
from domain.values import Role
from tests.api.whole_server import START, Edge, Socket

WORK = 'subscription { assignments(worker: "w", grace: "PT1S") { claim { fence } } }'


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of the workers whose leases are shortened, as they are."""
    found: list[str] = []

    async def note(_: Leases, __: str, worker: str, *___: object) -> bool:
        found.append(worker)
        return True

    monkeypatch.setattr(Leases, "shorten", note)
    return found


@asynccontextmanager
async def connected(edge: Edge, token: str = "engine") -> AsyncIterator[Socket]:
    """Open a connection; after it, what comes of its end has come."""
    async with edge.socket(token) as socket:
        yield socket
    await asyncio.gather(*edge.dispatcher._ending)


async def open_stream(edge: Edge, socket: Socket) -> None:
    """Let the worker have a stream, and be given something by it."""
    await socket.say("subscribe", id="1", payload={"query": WORK})
    await edge.post({"query": START, "variables": {"input": {"workflow": "w"}}})
    message = await socket.heard()
    assert message["payload"]["data"]["assignments"]["claim"], message


@pytest.mark.parametrize(
    ("code", "is_missing"),
    [(1005, True), (1006, True), (1000, False), (1001, False), (1012, False)],
)
async def test_it_depends_on_the_last_word(
    edge: Edge, missing: list[str], code: int, *, is_missing: bool
) -> None:
    async with connected(edge) as socket:
        await open_stream(edge, socket)
        socket.end(code)
    assert missing == (["w"] if is_missing else [])


@pytest.mark.parametrize("unsent", ["message", "answer"])
@pytest.mark.parametrize(("code", "is_missing"), [(1005, True), (1000, False), (1012, False)])
async def test_it_is_waited_for_when_nothing_can_be_sent_any_more(
    edge: Edge, missing: list[str], unsent: str, code: int, *, is_missing: bool
) -> None:
    async with connected(edge) as socket:
        await open_stream(edge, socket)
        socket.broken = True
        if unsent == "message":
            await edge.post({"query": START, "variables": {"input": {"workflow": "w"}}})
        else:
            await socket.say("ping")
        await socket.failed.wait()
        socket.end(code)
    assert missing == (["w"] if is_missing else [])


@pytest.mark.parametrize("grace", ["-PT1S", "PT2H"])
async def test_a_grace_is_from_none_to_an_hour(edge: Edge, grace: str) -> None:
    async with connected(edge) as socket:
        await socket.say("subscribe", id="1", payload={"query": WORK.replace("PT1S", grace)})
        [error] = (await socket.heard())["payload"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert error["message"] == "grace must be from PT0S to PT1H"


async def test_a_stream_that_was_completed_before_does_not_count(
    edge: Edge, missing: list[str]
) -> None:
    async with connected(edge) as socket:
        await open_stream(edge, socket)
        await socket.say("complete", id="1")
        await socket.say("ping")
        assert await socket.heard() == {"type": "pong"}
        socket.end(1006)
    assert missing == []


async def test_a_connection_that_the_service_ended_does_not_count(
    edge: Edge, missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.websocket.RECHECK_SECONDS", 0.02)
    token = await edge.keys.create("engine", roles=[Role.ENGINE])
    async with connected(edge, token) as socket:
        await open_stream(edge, socket)
        await edge.keys.revoke("engine")
        assert (await socket.closed())[0] == 4401
        socket.end(1006)
    assert missing == []
