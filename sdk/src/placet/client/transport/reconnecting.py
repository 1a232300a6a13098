"""The shared WebSocket: it is opened again when it is lost, and each stream goes on from there."""

import asyncio
import logging
import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import monotonic
from typing import TypeVar

import aiohttp

from placet.client.transport.addresses import Addresses
from placet.client.transport.envelope import BoundOperation
from placet.client.transport.graphql_ws import ConnectionLostError, GraphQLWebSocket
from placet.client.transport.retry import retried
from placet.client.transport.token_source import TokenSource
from placet.client.transport.websocket_health import WebSocketHealth
from placet.errors import PlacetError, Unauthenticated, Unavailable, transient

T = TypeVar("T")

log = logging.getLogger("placet")

REFUSED_SECONDS = 60.0
"""For so long after a refused connection, commands alone do not open another."""

PAUSE_SECONDS = 1.0
"""The longest pause before a stream that was refused or cut is requested again."""


def pause_seconds() -> float:
    """Return a random pause, so that streams do not all return at once."""
    return random.uniform(0, PAUSE_SECONDS)  # noqa: S311 - jitter, no secret


class StreamCutError(PlacetError):
    """A stream that is not patient ended: its connection could not be opened, or was lost."""


class ReconnectingWebSocket:
    """One connection for all streams of a client, and for its commands while it is open.

    ``health`` knows whether WebSockets get through to the service.
    """

    def __init__(
        self, session: aiohttp.ClientSession, addresses: Addresses, token: TokenSource
    ) -> None:
        self.health = WebSocketHealth(addresses.current)
        self._session = session
        self._addresses = addresses
        self._token = token
        self._dialling = asyncio.Lock()
        self._patience = asyncio.Lock()
        self._connection: GraphQLWebSocket | None = None
        self._dial: asyncio.Task[None] | None = None
        self._opened_at = 0.0
        self._refused_at = -math.inf
        self._refusal: Exception | None = None

    @property
    def connection(self) -> GraphQLWebSocket | None:
        """The connection, if it is open at this moment and not busy."""
        connection = self._connection
        return None if connection is None or connection.lost or connection.busy else connection

    def dial(self) -> None:
        """Begin to open the connection if there is none, without waiting for it."""
        waiting = monotonic() - self._refused_at < REFUSED_SECONDS
        open_ = self._connection is not None and not self._connection.lost
        if not (open_ or waiting or self._dial or self.health.blocked):
            self._dial = asyncio.create_task(self._try(), name="placet-dial")

    async def _try(self) -> None:
        try:
            await self._dialled()
        except PlacetError as error:
            log.info("no WebSocket to %s, commands go by HTTP: %s", self._addresses.current, error)
        finally:
            self._dial = None

    async def close(self) -> None:
        """Close the connection. Streams that are still read fail."""
        if self._dial is not None:
            self._dial.cancel()
            await asyncio.wait([self._dial])
        if self._connection is not None:
            await self._connection.close()

    async def stream(
        self,
        bind: Callable[[], BoundOperation[T]],
        on_open: Callable[[], Awaitable[None]] | None = None,
        *,
        ends: bool = False,
        patient: bool = True,
    ) -> AsyncGenerator[T, None]:
        """Yield the messages of a subscription without end, over as many connections as it takes.

        ``ends``: the stream ends when the service completes it without a single message.
        ``patient`` False: it ends by StreamCutError when its connection is lost or can't be opened.

        ``bind`` is called at each beginning, so that its variables can say where to go on;
        ``on_open`` runs at each beginning. Raises RequestError for what trying again can't cure.
        """
        while True:
            connection, received = await self._live(patient=patient), False
            bound = bind()
            messages = connection.subscribe(bound.request)
            try:
                async with aclosing(messages):
                    if on_open is not None:
                        await on_open()
                    async for payload in messages:
                        received = True
                        message = bound.operation.read(payload)
                        if message is not None:
                            yield message
                if ends and not received:
                    return
            except Exception as error:
                if connection.lost and not patient:
                    self._note_lost()
                    raise StreamCutError(str(error)) from error
                if isinstance(error, Unauthenticated):
                    await self._token.replace(connection.token, error)
                elif not (isinstance(error, ConnectionLostError) or transient(error)):
                    raise
            # So that a service that ends each stream at once is not asked in a tight loop.
            await self.pause()

    async def pause(self) -> None:
        """Pause for a random moment."""
        await asyncio.sleep(pause_seconds())

    async def _live(self, *, patient: bool) -> GraphQLWebSocket:
        if patient:
            # One stream retries and logs for all of them.
            async with self._patience:
                return await retried(None, self._dialled)
        try:
            return await self._dialled()
        except PlacetError as error:
            raise StreamCutError(str(error)) from error

    async def _dialled(self) -> GraphQLWebSocket:
        """Return the open connection, or open one. Raises what the attempt raises."""
        asked_at = monotonic()
        async with self._dialling:
            self._note_lost()
            if self._connection is not None:
                return self._connection
            if self._refusal is not None and self._refused_at >= asked_at:
                # An attempt failed while this stream waited for the lock.
                raise self._refusal
            url = self._addresses.current
            try:
                self._connection = await self._open(url)
            except PlacetError as error:
                if isinstance(error, Unavailable):
                    self._addresses.away(url)
                self._refused_at, self._refusal = monotonic(), error
                self.health.refused()
                raise
            self._opened_at = monotonic()
            return self._connection

    async def _open(self, url: str) -> GraphQLWebSocket:
        """Open a connection, with another token if the first is refused."""
        token = await self._token.current()
        try:
            return await GraphQLWebSocket.open(self._session, url, token)
        except Unauthenticated as error:
            await self._token.replace(token, error)
            return await GraphQLWebSocket.open(self._session, url, await self._token.current())

    def _note_lost(self) -> None:
        if self._connection is not None and self._connection.lost:
            self._connection = None
            self.health.lost(monotonic() - self._opened_at)
