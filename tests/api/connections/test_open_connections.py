"""Which connections are closed to make room, and how many at once when their time is over."""

import asyncio
import gc
import json
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from math import inf
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.connections.http_connection import HttpConnection
from api.connections.open_connections import ConnectionLimits, OpenConnections
from api.connections.paced_listener import PacedListener
from api.connections.turns import AT_ONCE
from api.connections.websocket_connection import MOST_FIRST_BYTES, WebSocketConnection
from api.graphql.caller import note_identified
from tests.support.patience import HANGS

UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)
LARGE = 2 * 1024 * 1024
GET = b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n"


class Idle:
    """A connection that only waits. ``closed_in``: the pass of the loop in which it was closed."""

    unsent = 0

    def __init__(self, passes: list[int], deadline: float = inf) -> None:
        self.deadline = deadline
        self.closed_in: int | None = None
        self._passes = passes

    def timed_out(self) -> None:
        self.closed_in = self._passes[0]

    crowded_out = abort = pause_reading = timed_out

    def take_turn(self, data: bytes) -> None:
        raise AssertionError(data)


async def test_a_connection_whose_client_is_known_is_closed_last() -> None:
    connections = OpenConnections(ConnectionLimits(most=3))
    known, *unknown = (Idle([0]) for _ in range(6))
    for connection in (known, unknown[0], unknown[1]):
        connections.opened(connection)
    connections.works(known)
    connections.waits(known, known=True)
    for connection in unknown[2:4]:
        connections.opened(connection)
    assert [each.closed_in is None for each in unknown[:4]] == [False, False, True, True]
    assert known.closed_in is None
    for connection in unknown[2:4]:
        connections.works(connection)
    connections.opened(unknown[4])
    assert known.closed_in is not None


async def test_connections_that_came_together_are_closed_a_few_at_a_time() -> None:
    passes = [0]
    connections = OpenConnections(ConnectionLimits())
    idle = [Idle(passes, deadline=0) for _ in range(10 * AT_ONCE)]
    for connection in idle:
        connections.opened(connection)
    await connections.start()
    async with asyncio.timeout(10):
        while any(each.closed_in is None for each in idle):
            passes[0] += 1
            await asyncio.sleep(0)
    await connections.close()
    when = [each.closed_in for each in idle]
    assert max(when.count(number) for number in when) == AT_ONCE


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the path. A WebSocket is open until the client ends it."""
    if scope["type"] == "http":
        if scope["path"] == "/known":
            note_identified(scope)
        size = LARGE if scope["path"] == "/large" else 1
        await PlainTextResponse(scope["path"] * size)(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@asynccontextmanager
async def listening(
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - it can't be changed
) -> AsyncIterator[tuple[int, list[Any]]]:
    """Listen on a port. The list gets weak references to all connections."""
    open_connections = OpenConnections(limits)
    made: list[Any] = []

    def noted(class_: Any, **given: Any) -> Any:
        connection = class_(open_connections=open_connections, **given)
        made.append(weakref.ref(connection))
        return connection

    config = uvicorn.Config(
        app,
        http=partial(noted, HttpConnection),  # type: ignore[arg-type]
        ws=partial(noted, WebSocketConnection),  # type: ignore[arg-type]
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    config.load()
    state = ServerState()

    def connection() -> asyncio.Protocol:
        protocol: Any = config.http_protocol_class
        made_one: asyncio.Protocol = protocol(config=config, server_state=state, app_state={})
        return made_one

    with socket.create_server(("127.0.0.1", 0)) as listener:
        paced = PacedListener(listener, connection, open_connections.turns.crowded)
        try:
            yield listener.getsockname()[1], made
        finally:
            paced.close()
            await paced.wait_closed()


async def exchange(port: int, *parts: bytes) -> bytes:
    """Send parts, each after an answer to the one before, and hang up. Returns the last answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    for part in parts:
        writer.write(part)
        answer = await reader.read(65_536)
    writer.transport.abort()
    return answer


def frame(payload: bytes) -> bytes:
    """Return a masked text message of a client, as long as its length needs 16 bits at most."""
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + payload


async def test_no_request_that_waits_for_its_turn_is_refused_for_new_connections() -> None:
    async with listening(ConnectionLimits(most=20)) as (port, _), AsyncExitStack() as opened:

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.callback(writer.transport.abort)
            return reader, writer

        async def status(reader: asyncio.StreamReader) -> bytes:
            line = await reader.readline()
            while await reader.readline() not in {b"\r\n", b""}:
                pass
            return line

        idle = [await connect() for _ in range(20)]
        for _, writer in idle:
            writer.write(GET % b"/")
        new = await asyncio.gather(*(connect() for _ in range(10)))
        for _, writer in new:
            writer.write(GET % b"/")
        async with asyncio.timeout(HANGS):
            answers = await asyncio.gather(*(status(reader) for reader, _ in (*idle, *new)))
    assert answers == [b"HTTP/1.1 200 OK\r\n"] * 30


async def test_a_client_that_reads_nothing_is_gone_when_it_is_closed_for_others() -> None:
    async with listening(ConnectionLimits(most=1)) as (port, made):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % b"/large")
        await reader.read(1)
        [connection] = made
        _, new = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(HANGS):
            while connection() is not None:
                await asyncio.sleep(0.01)
        for each in (writer, new):
            each.transport.abort()


async def test_connections_that_have_ended_leave_nothing_to_the_garbage_collector() -> None:
    async with listening() as (port, made):
        gc.collect()
        gc.disable()
        try:
            await exchange(port, GET % b"/")
            await exchange(port, UPGRADE)
            await exchange(port, UPGRADE, frame(b"x" * 60_000))
            assert len(made) == 5
            async with asyncio.timeout(10):
                while any(each() for each in made):
                    await asyncio.sleep(0.01)
        finally:
            gc.enable()


async def test_more_than_a_first_message_ends_the_connection() -> None:
    ping = frame(json.dumps({"type": "ping"}).encode())
    async with listening() as (port, made):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        connection = made[-1]()
        # As the event loop does when all of it has arrived.
        connection.data_received(ping * (MOST_FIRST_BYTES // len(ping) + 2))
        answer = await reader.read()
        assert answer[:4] == bytes([0x88, len(answer) - 2, *(1009).to_bytes(2, "big")])
        writer.close()


async def test_what_a_client_sends_is_read_in_order_when_it_becomes_known() -> None:
    async with listening() as (port, _):
        others = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5 * AT_ONCE)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _, other in others:
            other.write(GET % b"/other")
        writer.write(GET % b"/known" + GET % b"/second")
        writer.write(GET % b"/third")
        found = b""
        async with asyncio.timeout(10):
            while b"/third" not in found:
                found += await reader.read(65_536)
        assert found.index(b"/known") < found.index(b"/second") < found.index(b"/third")
        for each in (writer, *(other for _, other in others)):
            with suppress(OSError):
                each.close()
