"""One live WebSocket that speaks graphql-transport-ws, shared by subscriptions and commands."""

import asyncio
import os
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any, Self

import aiohttp
import msgspec

from placet.client.transport.envelope import ErrorInfo, Request
from placet.errors import (
    BadRequest,
    Forbidden,
    LimitExceeded,
    PlacetError,
    Unauthenticated,
    Unavailable,
)
from placet.models.rules import MAX_OPERATIONS, PROTOCOL

OPEN_SECONDS = 10.0
ACK_SECONDS = 10.0
PING_SECONDS = 15.0
CLOSE_SECONDS = 2.0
"""For the service to confirm that the connection is closed. Nothing depends on it."""
SERVER_ERRORS = 500
TRY_LATER = frozenset({408, 425, 429})
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_WAITING = 1024
"""Messages kept for a slow reader. With more its subscription is ended, to begin again later."""

MAX_CARRIED = MAX_OPERATIONS // 2
"""Streams and requests at once: half of what the service allows on one connection."""

_CLOSE_ERRORS: dict[int, type[PlacetError]] = {
    4400: BadRequest,
    4401: Unauthenticated,
    4403: Forbidden,
    1009: LimitExceeded,
}


class ConnectionLostError(PlacetError):
    """A subscription or a request ended without an answer of the service."""


class _Message(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    id: str | None = None
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    id: str | None = None
    payload: Any = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Message).decode
_decode_errors = msgspec.json.Decoder(tuple[ErrorInfo, ...]).decode

_Item = msgspec.Raw | Exception | None
"""A payload; or the error that ended the subscription; or None if the service completed it."""


class GraphQLWebSocket:
    """An acknowledged WebSocket. Once lost it is not used again.

    ``token``: the one with which it was opened.
    """

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, token: str) -> None:
        self.token = token
        self._websocket = websocket
        self._ids = count(1)
        self._queues: dict[str, asyncio.Queue[_Item]] = {}
        self._requests: dict[str, asyncio.Future[msgspec.Raw]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._ended = False

    @classmethod
    async def open(cls, session: aiohttp.ClientSession, url: str, token: str) -> Self:
        """Connect and wait for the acknowledgement.

        Raises Unavailable if it may work later, and otherwise the error of the service.
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                websocket = await session.ws_connect(
                    url,
                    headers={"authorization": f"Bearer {token}"},
                    protocols=(PROTOCOL,),
                    heartbeat=PING_SECONDS,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                    max_msg_size=MAX_MESSAGE_BYTES,
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status in {401, 403}:
                raise Unauthenticated(str(error)) from error
            msg = f"{url} did not open a WebSocket: HTTP {error.status}"
            later = error.status >= SERVER_ERRORS or error.status in TRY_LATER
            raise (Unavailable if later else BadRequest)(msg) from error
        except (aiohttp.ClientError, OSError) as error:
            msg = f"no answer from {url}: {reason_of(error)}"
            raise Unavailable(msg) from error
        connection = cls(websocket, token)
        try:
            await connection._initialise()
        except BaseException:
            await websocket.close()
            raise
        connection._reader = asyncio.create_task(connection._read(), name="placet-connection")
        return connection

    @property
    def lost(self) -> bool:
        """Whether the connection is closed."""
        return self._ended or self._websocket.closed or self._reader is None

    async def close(self) -> None:
        """Close the connection and all that it carries."""
        await self._websocket.close()
        if self._reader is not None:
            await self._reader

    async def subscribe(self, request: Request) -> AsyncGenerator[msgspec.Raw, None]:
        """Yield the payloads of a subscription's ``next`` messages until the service completes it.

        Raises ConnectionLostError when the connection ends or the reader falls too far behind, and
        the service's error.
        """
        key = str(next(self._ids))
        queue: asyncio.Queue[_Item] = asyncio.Queue()
        self._queues[key] = queue
        try:
            await self._send(_Frame(type="subscribe", id=key, payload=request))
            while (item := await queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            if self._queues.pop(key, None) is not None and not self.lost:
                await self._complete(key)

    @property
    def busy(self) -> bool:
        """Whether it carries so much that new requests should go by HTTP."""
        return len(self._requests) + len(self._queues) >= MAX_CARRIED

    async def request(self, request: msgspec.Raw) -> msgspec.Raw:
        """Send a query or mutation, as the JSON that would be posted, and return its answer.

        Raises ConnectionLostError when the connection ends, for whatever reason: the request may or
        may not have been carried out. Raises the service's error. If the caller is cancelled, the
        answer is ignored.
        """
        key = str(next(self._ids))
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._requests[key] = answer
        try:
            await self._send(_Frame(type="subscribe", id=key, payload=request))
            return await answer
        finally:
            # It counts as carried by the connection until the service completes it.
            if not answer.cancel() and not answer.cancelled():
                # Read the error, or asyncio logs that nobody did.
                answer.exception()

    async def _initialise(self) -> None:
        authorization = {"authorization": f"Bearer {self.token}"}
        await self._send(_Frame(type="connection_init", payload=authorization))
        try:
            async with asyncio.timeout(ACK_SECONDS):
                while (message := await self._receive()).type != "connection_ack":
                    if message.type == "ping":
                        await self._send(_Frame(type="pong"))
        except TimeoutError as error:
            msg = f"no connection_ack within {ACK_SECONDS:g} s"
            raise Unavailable(msg) from error
        except ConnectionLostError as error:
            raise Unavailable(str(error)) from error

    async def _read(self) -> None:
        """Pass each message to its reader, and at the end the error to all readers."""
        cause = await self._until_end()
        self._ended = True
        for queue in self._queues.values():
            queue.put_nowait(cause)
        self._queues.clear()
        for answer in self._requests.values():
            if not answer.done():
                answer.set_exception(ConnectionLostError(str(cause)))
        self._requests.clear()
        await self._websocket.close()

    async def _until_end(self) -> Exception:
        try:
            while True:
                await self._handle(await self._receive())
        except Exception as error:  # noqa: BLE001 - every subscription raises it
            return error

    async def _handle(self, message: _Message) -> None:
        if message.type == "ping":
            await self._send(_Frame(type="pong"))
        if message.id is None:
            return
        if (answer := self._requests.get(message.id)) is not None:
            if message.type in {"complete", "error"}:
                del self._requests[message.id]
            _settle(answer, message)
            return
        if (queue := self._queues.get(message.id)) is None:
            return
        match message.type:
            case "next" if queue.qsize() >= MAX_WAITING:
                # Waiting for this reader would delay all others. Its stream begins again later.
                del self._queues[message.id]
                queue.put_nowait(ConnectionLostError("the reader of a stream fell behind"))
                await self._complete(message.id)
            case "next" if isinstance(message.payload, msgspec.Raw):
                queue.put_nowait(message.payload.copy())
            case "error":
                del self._queues[message.id]
                queue.put_nowait(_error(message.payload))
            case "complete":
                del self._queues[message.id]
                queue.put_nowait(None)

    async def _complete(self, key: str) -> None:
        try:
            await self._send(_Frame(type="complete", id=key))
        except ConnectionLostError:
            # The next read raises it. A lost connection has no subscription to end.
            return

    async def _send(self, frame: _Frame) -> None:
        try:
            await self._websocket.send_str(_encode(frame).decode())
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            msg = "the WebSocket is closed"
            raise ConnectionLostError(msg) from error

    async def _receive(self) -> _Message:
        frame = await self._websocket.receive()
        if frame.type is aiohttp.WSMsgType.TEXT:
            try:
                return _decode(frame.data)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                msg = f"the service sent a message that can't be read: {error}"
                raise ConnectionLostError(msg) from error
        code = self._websocket.close_code
        said = frame.extra if isinstance(frame.extra, str) and frame.extra else "no reason given"
        raise _CLOSE_ERRORS.get(code or 0, ConnectionLostError)(
            f"WebSocket closed ({code}): {said}"
        )


def redirected(url: str, status: int, location: str | None) -> BadRequest:
    """Return the error for a redirect, which is not followed: it may lead to another service."""
    msg = (
        f"{url} answered HTTP {status}, a redirect to {location or 'nowhere'}, which is not"
        " followed: give the address at which the service itself answers"
    )
    return BadRequest(msg)


def refusing_redirects() -> aiohttp.TraceConfig:
    """Return what makes a session refuse the redirect of a WebSocket."""

    async def refuse(
        _session: aiohttp.ClientSession,
        _context: object,
        redirect: aiohttp.TraceRequestRedirectParams,
    ) -> None:
        location = redirect.response.headers.get("location")
        redirect.response.close()
        raise redirected(str(redirect.url), redirect.response.status, location)

    traces = aiohttp.TraceConfig()
    traces.on_request_redirect.append(refuse)
    return traces


def reason_of(error: Exception) -> str:
    """Say why there was no connection, in the words of the operating system if it has any."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)
    return str(error) or type(error).__name__


def _settle(answer: asyncio.Future[msgspec.Raw], message: _Message) -> None:
    if answer.done():
        return
    match message.type:
        case "next" if isinstance(message.payload, msgspec.Raw):
            answer.set_result(message.payload.copy())
        case "error":
            answer.set_exception(_error(message.payload))
        case "complete":
            answer.set_exception(ConnectionLostError("a request was completed without an answer"))


def _error(payload: msgspec.Raw | msgspec.UnsetType) -> Exception:
    try:
        return _decode_errors(b"[]" if payload is msgspec.UNSET else payload)[0].exception()
    except (msgspec.MsgspecError, UnicodeDecodeError, IndexError) as error:
        return ConnectionLostError(f"an error message that can't be read: {error}")
