"""Connections to a server process, and how clients without a token or with any can misuse them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from bench.stack import Stack
from tests.support.forked import stack
from tests.support.patience import HANGS

MOST = 60
LIVEZ = b"GET /livez HTTP/1.1\r\nhost: placet\r\n\r\n"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server that takes few connections and has little patience."""
    with stack(
        tmp_path_factory.mktemp("strict"),
        max_connections=MOST,
        header_timeout=1,
        body_timeout=2,
    ) as running:
        yield running


@asynccontextmanager
async def raw(server: Stack) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer_to(server: Stack, *parts: bytes) -> str:
    """Send parts of a request, and return all that the server sends until it closes."""
    async with raw(server) as (reader, writer), asyncio.timeout(HANGS):
        for part in parts:
            writer.write(part)
            await writer.drain()
        return (await reader.read()).decode()


@asynccontextmanager
async def socket(server: Stack, token: str | None = "operator") -> AsyncIterator[ClientConnection]:
    async with connect(
        server.url.replace("http", "ws") + "/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        max_size=None,
    ) as opened:
        if token is not None:
            payload = {"authorization": f"Bearer {server.tokens[token]}"}
            await opened.send(json.dumps({"type": "connection_init", "payload": payload}))
            assert json.loads(await opened.recv()) == {"type": "connection_ack"}
        yield opened


async def closed(opened: ClientConnection) -> tuple[int, str]:
    """Return the code and reason with which the server closes."""
    async with asyncio.timeout(HANGS):
        with suppress(ConnectionClosed):
            async for _ in opened:
                pass
        await opened.wait_closed()
    assert opened.close_code is not None
    return opened.close_code, opened.close_reason or ""


async def test_headers_that_do_not_come_end_the_connection(strict: Stack) -> None:
    answer = await answer_to(strict, b"POST /graphql HTTP/1.1\r\nhost: placet\r\n")
    assert answer.startswith("HTTP/1.1 408 ")
    assert answer.endswith(
        "the headers were not complete within 1 seconds; send the request again\n"
    )


async def test_a_connection_without_any_request_ends(strict: Stack) -> None:
    assert (await answer_to(strict)).startswith("HTTP/1.1 408 ")


async def test_a_body_that_does_not_come_ends_the_connection(strict: Stack) -> None:
    token = strict.tokens["operator"]
    answer = await answer_to(
        strict,
        b"POST /graphql HTTP/1.1\r\nhost: placet\r\ncontent-type: application/json\r\n"
        b"content-length: 100\r\n" + f"authorization: Bearer {token}\r\n\r\n".encode(),
        b'{"query": ',
    )
    assert answer.startswith("HTTP/1.1 408 ")
    assert answer.endswith("the body was not complete within 2 seconds; send the request again\n")


async def test_endless_headers_are_refused(strict: Stack) -> None:
    lines = [b"x-%d: " % number + b"y" * 8_000 + b"\r\n" for number in range(9)]
    async with raw(strict) as (reader, writer), asyncio.timeout(HANGS):
        writer.write(b"GET /livez HTTP/1.1\r\n")
        for line in lines:
            writer.write(line)
        answer = (await reader.readline()).decode()
    assert answer.startswith("HTTP/1.1 431 ")


async def test_requests_are_not_taken_far_ahead_of_their_answers(strict: Stack) -> None:
    async with raw(strict) as (reader, writer), asyncio.timeout(HANGS):
        writer.write(LIVEZ * 200)
        answers = (await reader.read()).decode()
    assert "503 Service Unavailable" in answers
    assert "more than 32 requests were sent ahead of their answers" in answers


async def test_an_upright_client_is_served_while_others_hold_half_requests(strict: Stack) -> None:
    where = urlsplit(strict.url)
    half = [await asyncio.open_connection(where.hostname, where.port) for _ in range(2 * MOST)]
    try:
        for _, writer in half:
            writer.write(b"POST /graphql HTTP/1.1\r\nhost: placet\r\n")
        for _ in range(10):
            async with raw(strict) as (reader, writer), asyncio.timeout(HANGS):
                writer.write(LIVEZ)
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    finally:
        for _, writer in half:
            writer.close()


async def test_a_socket_with_a_token_is_not_closed_for_others(strict: Stack) -> None:
    where = urlsplit(strict.url)
    async with socket(strict) as opened:
        half = [await asyncio.open_connection(where.hostname, where.port) for _ in range(2 * MOST)]
        try:
            await opened.send('{"type": "ping"}')
            async with asyncio.timeout(HANGS):
                assert json.loads(await opened.recv()) == {"type": "pong"}
        finally:
            for _, writer in half:
                writer.close()


async def test_a_large_message_before_the_token_is_refused(strict: Stack) -> None:
    async with socket(strict, token=None) as opened:
        await opened.send(json.dumps({"type": "connection_init", "payload": {"x": "y" * 9_000}}))
        code, _ = await closed(opened)
        assert code == 1009


async def test_messages_after_the_token_can_be_as_large_as_a_body(strict: Stack) -> None:
    async with socket(strict) as opened:
        await opened.send(json.dumps({"type": "ping", "payload": {"x": "y" * 1_000_000}}))
        answer = json.loads(await opened.recv())
        assert answer == {"type": "pong", "payload": {"x": "y" * 1_000_000}}


async def test_messages_are_not_compressed(strict: Stack) -> None:
    async with socket(strict) as opened:
        assert opened.protocol.extensions == []


async def test_a_flood_of_pings_ends_the_connection(strict: Stack) -> None:
    async with socket(strict) as opened:
        for _ in range(500):
            opened.protocol.send_ping(b"x" * 125)
        opened.transport.write(b"".join(opened.protocol.data_to_send()))
        assert await closed(opened) == (1008, "more than 100 pings and pongs in a second")


async def test_a_message_that_is_never_complete_ends_the_connection(strict: Stack) -> None:
    began = time.monotonic()
    async with socket(strict) as opened:
        opened.protocol.send_text(b'{"type"', fin=False)
        for _ in range(1_000):
            # Empty parts, which no limit on the size of a message counts.
            opened.protocol.send_continuation(b"", fin=False)
        opened.transport.write(b"".join(opened.protocol.data_to_send()))
        assert await closed(opened) == (1008, "a message was not complete in 2 seconds")
    assert time.monotonic() - began >= 2


async def test_a_message_in_many_parts_is_read(strict: Stack) -> None:
    async with socket(strict) as opened:
        frames = [Frame(Opcode.TEXT, b"{", fin=False)]
        frames += [Frame(Opcode.CONT, bytes([byte]), fin=False) for byte in b'"type": "ping"']
        frames.append(Frame(Opcode.CONT, b"}", fin=True))
        opened.transport.write(b"".join(f.serialize(mask=True, extensions=[]) for f in frames))
        async with asyncio.timeout(HANGS):
            assert json.loads(await opened.recv()) == {"type": "pong"}
