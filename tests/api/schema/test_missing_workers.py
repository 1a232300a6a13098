"""A worker is missing if its connection breaks, and not if either side closes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from application.workers.leases import Leases
from domain.values import Role
from tests.api.whole_server import START, Socket, WholeServer

WORK = 'subscription { assignments(worker: "w", grace: "PT1S") { claim { fence } } }'


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the workers whose leases are shortened, as they are."""
    found: list[str] = []

    async def note(_: Leases, __: str, worker: str, *___: object) -> bool:
        found.append(worker)
        return True

    monkeypatch.setattr(Leases, "shorten", note)
    return found


@asynccontextmanager
async def connected(whole_server: WholeServer, token: str = "engine") -> AsyncIterator[Socket]:
    """Open a connection; after it, what comes of its end has come."""
    async with whole_server.socket(token) as socket:
        yield socket
    await asyncio.gather(*whole_server.dispatcher._ending)


async def open_stream(whole_server: WholeServer, socket: Socket) -> None:
    """Let the worker have a stream, and be given something by it."""
    await socket.send("subscribe", id="1", payload={"query": WORK})
    await whole_server.post({"query": START, "variables": {"input": {"workflow": "w"}}})
    message = await socket.receive()
    assert message["payload"]["data"]["assignments"]["claim"], message


@pytest.mark.parametrize(
    ("code", "is_missing"),
    [(1005, True), (1006, True), (1000, False), (1001, False), (1012, False)],
)
async def test_only_a_broken_connection_shortens_the_lease(
    whole_server: WholeServer, missing: list[str], code: int, *, is_missing: bool
) -> None:
    async with connected(whole_server) as socket:
        await open_stream(whole_server, socket)
        socket.disconnect(code)
    assert missing == (["w"] if is_missing else [])


@pytest.mark.parametrize("unsent", ["message", "answer"])
@pytest.mark.parametrize(("code", "is_missing"), [(1005, True), (1000, False), (1012, False)])
async def test_a_failed_send_waits_to_see_whether_the_connection_broke(
    whole_server: WholeServer, missing: list[str], unsent: str, code: int, *, is_missing: bool
) -> None:
    async with connected(whole_server) as socket:
        await open_stream(whole_server, socket)
        socket.broken = True
        if unsent == "message":
            await whole_server.post({"query": START, "variables": {"input": {"workflow": "w"}}})
        else:
            await socket.send("ping")
        await socket.failed.wait()
        socket.disconnect(code)
    assert missing == (["w"] if is_missing else [])


@pytest.mark.parametrize("grace", ["-PT1S", "PT2H"])
async def test_a_grace_is_from_none_to_an_hour(whole_server: WholeServer, grace: str) -> None:
    async with connected(whole_server) as socket:
        await socket.send("subscribe", id="1", payload={"query": WORK.replace("PT1S", grace)})
        [error] = (await socket.receive())["payload"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert error["message"] == "grace must be from PT0S to PT1H"


async def test_a_stream_that_was_completed_before_does_not_count(
    whole_server: WholeServer, missing: list[str]
) -> None:
    async with connected(whole_server) as socket:
        await open_stream(whole_server, socket)
        await socket.send("complete", id="1")
        await socket.send("ping")
        assert await socket.receive() == {"type": "pong"}
        socket.disconnect(1006)
    assert missing == []


async def test_a_connection_that_the_service_ended_does_not_count(
    whole_server: WholeServer, missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.websocket.RECHECK_SECONDS", 0.02)
    token = await whole_server.keys.create("engine", roles=[Role.ENGINE])
    async with connected(whole_server, token) as socket:
        await open_stream(whole_server, socket)
        await whole_server.keys.revoke("engine")
        assert (await socket.closed())[0] == 4401
        socket.disconnect(1006)
    assert missing == []
