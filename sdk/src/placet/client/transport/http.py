"""Sends operations: queries by HTTP POST, streams over one WebSocket, commands over either."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO
from typing import TypeVar

import aiohttp
import msgspec

from placet._util.tracing import current_traceparent
from placet.client.transport.addresses import Addresses
from placet.client.transport.envelope import BoundOperation, ErrorInfo
from placet.client.transport.graphql_ws import (
    ConnectionLostError,
    GraphQLWebSocket,
    reason_of,
    redirected,
    refusing_redirects,
)
from placet.client.transport.reconnecting import ReconnectingWebSocket
from placet.client.transport.retry import PAUSE_SECONDS, retried
from placet.client.transport.token_source import Token, TokenSource
from placet.errors import (
    REQUEST_ERRORS,
    BadRequest,
    Internal,
    LimitExceeded,
    Overloaded,
    RequestError,
    Unauthenticated,
    Unavailable,
)

T = TypeVar("T")

_STATUS: dict[int, type[RequestError]] = {
    401: Unauthenticated,
    404: BadRequest,
    405: BadRequest,
    413: LimitExceeded,
    429: Overloaded,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
CONNECTIONS = 100
"""At most, for requests that are answered at once."""

CONNECT_SECONDS = 5.0
"""For a connection to one of several addresses, before the next one is tried."""

MANY = 16
"""With so many commands under way by HTTP a WebSocket is opened for those that follow."""

LARGE = 64 * 1024
_JSON_TYPES = frozenset({"application/graphql-response+json", "application/json"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CLIENT_ERRORS = range(400, 500)


class HttpTransport:
    """A connection to one service, as the owner of one token after the other.

    ``timeout``: seconds for one HTTP request. ``retry_for``: seconds for which a request is tried
    again while the service is overloaded, unavailable or out of reach.
    """

    def __init__(
        self, addresses: Addresses, token: Token, *, timeout: float = 30.0, retry_for: float = 30.0
    ) -> None:
        self.addresses = addresses
        self.token = TokenSource(token)
        self._timeout = timeout
        self.retry_for = retry_for
        self._open_session: aiohttp.ClientSession | None = None
        self._open_waiting: aiohttp.ClientSession | None = None
        self._open_dialling: aiohttp.ClientSession | None = None
        self._open_socket: ReconnectingWebSocket | None = None
        self._changing = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def close(self) -> None:
        """End all streams and connections. The object can't be used afterwards."""
        if self._open_socket is not None:
            await self._open_socket.close()
        for session in self._sessions:
            await session.close()

    def __del__(self) -> None:
        # A program may end without closing its client. That is no reason to complain at its exit.
        for session in getattr(self, "_sessions", ()):
            connector = session.connector
            session.detach()
            if connector is not None:
                with suppress(Exception):
                    connector._close()  # noqa: SLF001 - close() needs an event loop that runs

    @property
    def url(self) -> str:
        """Where the service takes GraphQL: the address in use."""
        return self.addresses.current

    @property
    def _sessions(self) -> list[aiohttp.ClientSession]:
        made = (self._open_session, self._open_waiting, self._open_dialling)
        return [session for session in made if session is not None]

    async def send(
        self, bound: BoundOperation[T], *, idempotent: bool = True, pause: float = PAUSE_SECONDS
    ) -> T:
        """Send a query or mutation and return its result. Raises RequestError.

        ``pause``: the longest pause between two attempts, in seconds. An operation that is not
        idempotent is sent once, and by HTTP, because a server that shuts down still answers there.
        """
        if not idempotent:
            # What is refused for its token was not carried out.
            body = bound.body()
            return _result(await self._with_token(lambda t: self._ask_by_http(t, bound, body)))
        return await retried(self.retry_for, self.send_once, bound, pause=pause)

    async def send_once(self, bound: BoundOperation[T]) -> T:
        """Send a query or mutation a single time. Raises RequestError."""
        body = bound.body()
        # Answers to queries may be large, and so may commands: others must not wait behind them.
        if bound.operation.changes and len(body) <= LARGE:
            return _result(await self._with_token(lambda t: self._change(t, bound, body)))
        return _result(await self._with_token(lambda t: self._ask_by_http(t, bound, body)))

    async def look_up(self, bound: BoundOperation[T], *, wait: float = 0) -> T | None:
        """Send a query that may find nothing. Raises RequestError.

        ``wait``: for how many seconds the service may put off its answer.
        """
        body = bound.body()

        def ask(token: str) -> Awaitable[T | None]:
            return self._ask_by_http(token, bound, body, wait)

        return await retried(self.retry_for, self._with_token, ask)

    async def _with_token(self, ask: Callable[[str], Awaitable[T]]) -> T:
        """Ask with the token, and once more with another one if the service refuses it."""
        token = await self.token.current()
        try:
            return await ask(token)
        except Unauthenticated as error:
            await self.token.replace(token, error)
            return await ask(await self.token.current())

    async def _change(self, token: str, bound: BoundOperation[T], body: bytes) -> T | None:
        self._check_loop()
        connection = None if self._open_socket is None else self._open_socket.connection
        if connection is not None:
            try:
                return bound.operation.read(await self._ask_by_socket(connection, body))
            except Unauthenticated:
                # The connection may be older than the token.
                if connection.token == token:
                    raise
        self._changing += 1
        try:
            if self._changing >= MANY:
                self.socket.dial()
            return await self._ask_by_http(token, bound, body)
        finally:
            self._changing -= 1

    async def _ask_by_socket(self, connection: GraphQLWebSocket, body: bytes) -> msgspec.Raw:
        try:
            async with asyncio.timeout(self._timeout):
                return await connection.request(msgspec.Raw(body))
        except ConnectionLostError as error:
            raise Unavailable(f"no answer from {self.url}: {error}") from error
        except TimeoutError as error:
            msg = f"no answer from {self.url} within {self._timeout:g} s"
            raise Unavailable(msg) from error

    async def _ask_by_http(
        self, token: str, bound: BoundOperation[T], body: bytes, wait: float = 0
    ) -> T | None:
        return bound.operation.read(await self._post(token, body, wait))

    async def _post(self, token: str, body: bytes, wait: float) -> bytes:
        self._check_loop()
        session = self._waiting if wait else self._session
        url = self.url
        connect = CONNECT_SECONDS if len(self.addresses.all) > 1 else None
        timeout = aiohttp.ClientTimeout(total=self._timeout + wait, sock_connect=connect)
        headers = {"authorization": f"Bearer {token}"}
        if (trace := current_traceparent()) is not None:
            headers["traceparent"] = trace
        # A large body is written in parts, so that other connections get their turn in between.
        data = body if len(body) <= LARGE else BytesIO(body)
        try:
            # What is sent is for this service alone, so no redirect is followed.
            async with session.post(
                url,
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                status, answer = response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            self.addresses.away(url)
            raise Unavailable(f"no answer from {url}: {reason_of(error)}") from error
        if status in _REDIRECTS:
            raise redirected(url, status, response.headers.get("location"))
        if status in _STATUS or response.content_type not in _JSON_TYPES:
            if _STATUS.get(status) is Unavailable:
                self.addresses.away(url)
            raise _failure(url, status, answer)
        return answer

    def _check_loop(self) -> None:
        """Raise RuntimeError in an event loop that the connections do not belong to."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            msg = (
                f"this client of {self.url} belongs to another event loop, in which it was used"
                " first: make one here, or take client.apart() or gate.apart(), which has"
                " connections of its own, and close it here"
            )
            raise RuntimeError(msg)

    @property
    def _session(self) -> aiohttp.ClientSession:
        # Not in __init__, because a session belongs to the event loop in which it is created.
        if self._open_session is None:
            self._open_session = self._make_session(CONNECTIONS)
        return self._open_session

    @property
    def _waiting(self) -> aiohttp.ClientSession:
        # Long polls must not take the connections of other requests, nor of each other.
        if self._open_waiting is None:
            self._open_waiting = self._make_session(0)
        return self._open_waiting

    def _make_session(
        self, connections: int, traces: list[aiohttp.TraceConfig] | None = None
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            trace_configs=traces,
            headers={
                "content-type": "application/json",
                "accept": "application/graphql-response+json, application/json;q=0.9",
            },
        )

    @property
    def socket(self) -> ReconnectingWebSocket:
        """The WebSocket that streams and commands share, opened when it is needed."""
        self._check_loop()
        if self._open_socket is None:
            self._open_dialling = self._make_session(0, [refusing_redirects()])
            self._open_socket = ReconnectingWebSocket(
                self._open_dialling, self.addresses, self.token
            )
        return self._open_socket


def _result(found: T | None) -> T:
    if found is None:
        raise Internal("the service answered neither a result nor an error")
    return found


class _Errors(msgspec.Struct, frozen=True):
    errors: tuple[ErrorInfo, ...]


def _failure(url: str, status: int, body: bytes) -> RequestError:
    """Return the exception for an HTTP status, with the error in the body as its message."""
    kind = _STATUS.get(status) or (BadRequest if status in _CLIENT_ERRORS else Internal)
    try:
        first = msgspec.json.decode(body, type=_Errors).errors[0]
    except (msgspec.MsgspecError, UnicodeDecodeError, IndexError):
        # The answer is not from the service but from a proxy. Its text is all there is.
        said = body[:200].decode(errors="replace").strip()
        return kind(f"{url} answered HTTP {status}{': ' if said else ''}{said}")
    return REQUEST_ERRORS.get(first.extensions.code, kind)(first.message)
