"""A worker is missing when its connection breaks off, and not when either side has ended it."""

import asyncio

import pytest

from application.assignments import Assignments
from application.worker_stream import WorkerStream
from domain.values import Role
from tests.api.edge import START, Edge, Socket

WORK = 'subscription { assignments(worker: "w", grace: "PT1S") { claim { fence } } }'


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the names of the workers that are found missing, as they are."""
    found: list[str] = []

    def note(_: object, stream: WorkerStream, __: object) -> None:
        found.append(stream.worker)

    monkeypatch.setattr(Assignments, "_miss_worker", note)
    return found


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
    async with edge.socket("engine") as socket:
        await open_stream(edge, socket)
        socket.end(code)
    assert missing == (["w"] if is_missing else [])


async def test_a_break_that_is_found_by_sending_counts(edge: Edge, missing: list[str]) -> None:
    async with edge.socket("engine") as socket:
        await open_stream(edge, socket)
        socket.broken = True
        await edge.post({"query": START, "variables": {"input": {"workflow": "w"}}})
        async with asyncio.timeout(10):
            while not missing:
                await asyncio.sleep(0.01)


async def test_a_stream_that_was_completed_before_does_not_count(
    edge: Edge, missing: list[str]
) -> None:
    async with edge.socket("engine") as socket:
        await open_stream(edge, socket)
        await socket.say("complete", id="1")
        await socket.say("ping")
        assert await socket.heard() == {"type": "pong"}
        socket.end(1006)
    assert missing == []


async def test_a_connection_that_the_service_ended_does_not_count(
    edge: Edge, missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.websocket.RECHECK_SECONDS", 0.02)
    token = await edge.keys.create("engine", roles=[Role.ENGINE])
    async with edge.socket(token) as socket:
        await open_stream(edge, socket)
        await edge.keys.revoke("engine")
        assert (await socket.closed())[0] == 4401
        socket.end(1006)
    assert missing == []
