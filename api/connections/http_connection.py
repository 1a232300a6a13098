"""HTTP connections with limits on time, on headers and on requests that are sent ahead."""

import asyncio
from http import HTTPStatus
from math import inf
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.connections.open_connections import QUIET, OpenConnections
from api.graphql.caller import CONNECTION

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a request line with its headers. The parser has no limit of its own."""
MAX_PIPELINED = 32
"""Requests that a client may send before the answer to the first."""


class _RefusedError(Exception):
    """Ends the parsing. The answer was sent."""


class HttpConnection(HttpToolsProtocol):
    """One connection. It is watched by ``open_connections``."""

    def __init__(self, *args: Any, open_connections: OpenConnections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deadline = inf
        self.logger = QUIET
        self._open = open_connections
        self._limits = open_connections.limits
        # Bytes of the head that is being read, None outside of a head.
        self._head: int | None = 0
        self._refused = False
        self._known = False
        self._extensions: dict[str, Any] = {CONNECTION: self}

    @property
    def unsent(self) -> int:
        """How many bytes wait to be sent."""
        return self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, and wait for the first request."""
        super().connection_made(transport)
        self.deadline = self.loop.time() + self._limits.headers_within
        self._open.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.deadline = inf
        self._open.closed(self)
        super().connection_lost(exc)
        self._forget_parts()

    def identified(self) -> None:
        """Handle what is received at once from now on: the client has shown its token."""
        if not self._known:
            self._known = True
            if data := self._open.turns.left(self):
                self.take_turn(data)

    def data_received(self, data: bytes) -> None:
        """Read what the client sent, or let it wait for its turn."""
        if self._known or self._open.turns.handles_now(self, data):
            self._read(data)

    def pause_reading(self) -> None:
        """Receive nothing, because data waits for its turn."""
        self.transport.pause_reading()

    def take_turn(self, data: bytes) -> None:
        """Read what has waited."""
        if self.transport.is_closing():
            return
        if not self.flow.read_paused:
            self.transport.resume_reading()
        self._read(data)

    def _read(self, data: bytes) -> None:
        if self._refused:
            return
        before = self._head
        super().data_received(data)
        # A head that began with this data is counted from the next on.
        if before is not None and self._head is not None and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD_BYTES:
                self._refuse(431, f"the headers have more than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        self._head = 0
        self.deadline = self.loop.time() + self._limits.headers_within
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    def on_headers_complete(self) -> None:
        """Start to answer, and wait for the body."""
        self._head = None
        self.deadline = self.loop.time() + self._limits.complete_within
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:
            message = f"more than {MAX_PIPELINED} requests were sent ahead of their answers"
            self._refuse(503, f"{message}; wait for the answers")
            raise _RefusedError

    def on_message_complete(self) -> None:
        """Wait for the client no longer: it waits for the answer."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            # It is an upgrade, or was answered before its body had come, such as with 401.
            self.deadline = self.loop.time() + self._limits.headers_within
        else:
            self.deadline = inf
            self._open.works(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request; uvicorn ends the connection if none comes."""
        super().on_response_complete()
        if not self.pipeline:
            self._open.waits(self, known=self._known)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to a WebSocket, which is a connection of its own."""
        self.deadline = inf
        self._open.closed(self)
        super().handle_websocket_upgrade()
        self._forget_parts()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, unless the answer was sent already."""
        if not self._refused:
            super().send_400_response(msg)

    def timed_out(self) -> None:
        """Close the connection of a client that was too slow."""
        what, seconds = (
            ("the headers were", self._limits.headers_within)
            if self._head is not None
            else ("the body was", self._limits.complete_within)
        )
        self._refuse(408, f"{what} not complete within {seconds:g} seconds; send the request again")

    def crowded_out(self) -> None:
        """Close the connection to make room for another one."""
        if self.unsent:
            # The client may never read it, and nothing would end the connection after this.
            self.abort()
            return
        self._refuse(503, f"there are more than {self._limits.most} connections; try again later")

    def abort(self) -> None:
        """Close the connection without sending what waits."""
        self.transport.abort()

    def _forget_parts(self) -> None:
        """Forget the parts that refer to this object.

        The garbage collector would have to find them. For some thousands of connections it would
        stop the server for a fifth of a second.
        """
        self.parser = None  # type: ignore[assignment]
        self._extensions.clear()

    def _refuse(self, status: int, message: str) -> None:
        """Answer a request that is not complete, and close the connection."""
        self._refused = True
        self.deadline = inf
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = f"{message}\n".encode()
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                "content-type: text/plain; charset=utf-8\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        if cycle is not None and not cycle.response_complete:
            # Whoever answers it learns that the client has gone.
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()
