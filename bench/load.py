"""A fast client: HTTP/1.1 over raw connections, with requests made before the measurement.

A benchmark of a server must not measure its client, which shares the cores on a small machine.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit


@dataclass
class LoadResult:
    """The result of a run: its duration and the latencies of all requests, in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.latencies) / self.seconds


def request(url: str, token: str, body: bytes) -> bytes:
    """Return a POST to ``/graphql`` as bytes."""
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class PostConnection(asyncio.Protocol):
    """A connection for one request at a time."""

    @classmethod
    async def open(cls, url: str) -> "PostConnection":
        """Connect to a server."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, parts.hostname, parts.port)
        return connection

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[bytes]
        self._transport: asyncio.Transport

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request. The result of the future is the body of the response."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        body = _whole(self._buffer)
        if body is not None:
            self._buffer = b""
            self._answer.set_result(body)


def _whole(response: bytes) -> bytes | None:
    """Return the body of a response, None if it is not complete yet."""
    head, separator, body = response.partition(b"\r\n\r\n")
    if not separator:
        return None
    _, _, length = head.lower().partition(b"content-length: ")
    return body if len(body) >= int(length.split(b"\r\n", 1)[0]) else None


class _Connection(asyncio.Protocol):
    """Sends the next request when the previous one is answered."""

    def __init__(
        self, requests: Iterator[bytes], expect: bytes, sent: LoadResult, done: asyncio.Future[None]
    ) -> None:
        self._requests = requests
        self._expect = expect
        self._sent = sent
        self._done = done
        self._buffer = b""
        self._began = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        body = _whole(self._buffer)
        if body is None:
            return
        self._buffer = b""
        if self._expect in body:
            self._sent.latencies.append(time.perf_counter() - self._began)
        else:
            self._sent.failed.append(body[:500].decode())
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server hung up"))

    def _next(self) -> None:
        following = next(self._requests, None)
        if following is None:
            self._done.set_result(None)
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(following)


async def send(url: str, requests: list[bytes], *, connections: int, expect: bytes) -> LoadResult:
    """Send all requests over several connections. A response without ``expect`` is a failure."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    loop = asyncio.get_running_loop()
    sent, shared = LoadResult(), iter(requests)
    ends = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for end in ends:
        await loop.create_connection(
            partial(_Connection, shared, expect, sent, end), parts.hostname, parts.port
        )
    await asyncio.gather(*ends)
    sent.seconds = time.perf_counter() - began
    if sent.failed:
        raise AssertionError(f"{len(sent.failed)} requests failed, such as: {sent.failed[0]}")
    return sent
