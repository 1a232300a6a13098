"""A transport that joins all writes of one round of the event loop.

uvloop makes a system call for each write, and each wakes the reader at the other end. An answer has
at least two writes, and a busy WebSocket gets many messages in one round.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT = 64 * 1024
"""Most bytes that are held back."""


class Corked:
    """Wraps a transport, and changes only how it writes."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []
        self._size = 0
        self._corked = False
        self._whole = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Switch to a WebSocket. Each write is then a whole message."""
        self._whole = True
        self._transport.set_protocol(protocol)

    def write(self, data: bytes) -> None:
        """Write the first whole message of a round at once, the rest at the end of the round.

        The first must not wait for messages to other clients.
        """
        at_once = self._whole and not self._corked
        if not self._corked:
            self._corked = True
            self._loop.call_soon(self._uncork)
        self._written.append(data)
        self._size += len(data)
        # Only written data counts for the flow control of a slow reader.
        if at_once or self._size >= LIMIT:
            self._flush()

    def close(self) -> None:
        """Write what is held back, then close."""
        self._flush()
        self._transport.close()

    def _uncork(self) -> None:
        self._corked = False
        self._flush()

    def _flush(self) -> None:
        if self._written:
            data = b"".join(self._written)
            self._written.clear()
            self._size = 0
            if not self._transport.is_closing():
                self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class CorkedProtocol(HttpToolsProtocol):
    """HTTP with joined writes. A WebSocket takes over the transport of its request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the transport."""
        super().connection_made(cast("asyncio.Transport", Corked(transport, self.loop)))
