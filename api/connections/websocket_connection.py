"""WebSocket connections with limits on what a client can make the server keep for it."""

import asyncio
from math import inf
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from api.connections.open_connections import QUIET, OpenConnections
from api.graphql.caller import CONNECTION

FIRST_MESSAGE_BYTES = 8 * 1024
"""Bytes of a message before ``connection_init`` was accepted."""
MOST_FIRST_BYTES = 2 * FIRST_MESSAGE_BYTES
"""Bytes that are received at once before it. The rest of a larger message is not even kept."""
MAX_CONTROL_FRAMES = 100
"""Pings and pongs that a client may send in a second."""
MAX_UNREAD_PONGS = 64 * 1024
"""Bytes that may wait to be sent when a ping comes. Beyond it, nothing more is read."""
SMALL = 16 * 1024
"""Bytes of an incomplete message that are not counted."""


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One connection. It is watched by ``open_connections``."""

    def __init__(self, *args: Any, open_connections: OpenConnections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deadline = inf
        self._open = open_connections
        self._limits = open_connections.limits
        self.conn.max_message_size = FIRST_MESSAGE_BYTES
        self.logger = self.conn.logger = QUIET
        self._paused_for_pongs = False
        self._control_frames = 0
        self._counted_until = 0.0
        self._extensions: dict[Any, Any] = {}
        self._known = False
        self._cut_off = False

    @property
    def unsent(self) -> int:
        """How many bytes wait to be sent."""
        return self.transport.get_write_buffer_size()

    def identified(self) -> None:
        """Take messages of full size from now on: ``connection_init`` was accepted."""
        self._known = True
        self.conn.max_message_size = self.config.ws_max_size
        self._open.works(self)
        if data := self._open.turns.left(self):
            self.take_turn(data)

    async def drained(self) -> None:
        """Wait until the client has read most of what was sent."""
        await self.writable.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection. The application limits the time until ``connection_init``."""
        super().connection_made(transport)
        self._open.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.deadline = inf
        self._open.closed(self)
        super().connection_lost(exc)
        # What refers to itself is left to the garbage collector. For some thousands of connections
        # it would stop the server for a fifth of a second.
        self.conn.parser.close()
        self.conn.parser_exc = None
        self._extensions.clear()

    def handle_connect(self, event: Any) -> None:
        """Begin the handshake, and let the application find this connection."""
        super().handle_connect(event)
        if not self.close_sent:
            self._extensions = {**(self.scope["extensions"] or {}), CONNECTION: self}
            self.scope["extensions"] = self._extensions

    def data_received(self, data: bytes) -> None:
        """Read what the client sent, or let it wait for its turn."""
        # The handshake is part of the turn of its HTTP connection.
        if self._known or not self.handshake_initiated:
            self._read(data)
            return
        self._cut_off = self._cut_off or len(data) > MOST_FIRST_BYTES
        first = data[:MOST_FIRST_BYTES]
        if self._open.turns.handles_now(self, first):
            self._read(first)

    def pause_reading(self) -> None:
        """Receive nothing, because data waits for its turn."""
        self.transport.pause_reading()

    def take_turn(self, data: bytes) -> None:
        """Read what has waited."""
        if self.transport.is_closing():
            return
        if not self.read_paused and not self._paused_for_pongs:
            self.transport.resume_reading()
        self._read(data)

    def _read(self, data: bytes) -> None:
        """Read data, and count what is not a whole message yet."""
        super().data_received(data)
        held = len(self.conn.reader.buffer)
        if self.frames:
            held += len(self.frames[0])
        if not held and not self.frames:
            self.deadline = inf
        elif self.deadline == inf:
            self.deadline = self.loop.time() + self._limits.complete_within
        self._open.incomplete(self, held if held > SMALL else 0)
        if self._cut_off:
            self._fail(1009, f"more than {MOST_FIRST_BYTES} bytes came before connection_init")

    def handle_events(self) -> None:
        """Handle frames, unless there are too many pings and pongs among them."""
        super().handle_events()
        if self._control_frames > MAX_CONTROL_FRAMES:
            self._control_frames = 0
            self._fail(1008, f"more than {MAX_CONTROL_FRAMES} pings and pongs in a second")

    def handle_cont(self, event: Frame) -> None:
        """Put the parts of a message together, so that many small ones do not take more memory."""
        whole: Any = self.frames[0]
        if not isinstance(whole, bytearray):
            whole = bytearray(whole)
        whole += event.data
        self.frames = [whole]
        if event.fin:
            self.send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping. A client that does not read the answers is not read from."""
        self._count()
        super().handle_ping()
        if self.unsent > MAX_UNREAD_PONGS and not self.transport.is_closing():
            self._paused_for_pongs = True
            self.transport.pause_reading()

    def handle_pong(self, event: Frame) -> None:
        """Take the answer to a ping."""
        self._count()
        super().handle_pong(event)

    def resume_writing(self) -> None:
        """Send again, and read again if that was paused for a client that did not read."""
        super().resume_writing()
        if self._paused_for_pongs:
            self._paused_for_pongs = False
            if not self.read_paused and not self.transport.is_closing():
                self.transport.resume_reading()

    def timed_out(self) -> None:
        """Close the connection of a client whose message was not complete in time."""
        self._fail(1008, f"a message was not complete in {self._limits.complete_within:g} seconds")

    def crowded_out(self) -> None:
        """Close the connection to make room for others."""
        self._fail(1013, "the server has too many connections; try again later")

    def abort(self) -> None:
        """Close the connection without sending what waits."""
        self.transport.abort()

    def _count(self) -> None:
        now = self.loop.time()
        if now >= self._counted_until:
            self._counted_until = now + 1.0
            self._control_frames = 0
        self._control_frames += 1

    def _fail(self, code: int, reason: str) -> None:
        self.deadline = inf
        if self.close_sent or self.transport.is_closing():
            return
        if not self.handshake_complete:
            self.transport.close()
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.fail(code, reason)
        self.close_sent = True
        if self.unsent:
            # Nobody reads: the close frame would wait for ever.
            self.transport.abort()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()
