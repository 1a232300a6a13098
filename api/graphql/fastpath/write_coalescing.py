"""A transport that writes once in a round of the event loop, whatever is written to it meanwhile.

uvloop hands each write to the operating system at once, and each wakes whoever reads at the other
end. An answer is at least two of them, and a busy WebSocket is told many things in one round.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LIMIT = 64 * 1024
"""Bytes that are kept back, at most."""


class Corked:
    """Stands before a transport, which does all but write."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []
        self._size = 0
        self._corked = False
        self._whole = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand over to a WebSocket. Its messages are whole, unlike the parts of an answer."""
        self._whole = True
        self._transport.set_protocol(protocol)

    def write(self, data: bytes) -> None:
        """Write what is whole at once if it is the first, and the rest after what is ready to run.

        Somebody waits for the first, which must not wait for what is meant for others.
        """
        at_once = self._whole and not self._corked
        if not self._corked:
            self._corked = True
            self._loop.call_soon(self._uncork)
        self._written.append(data)
        self._size += len(data)
        # Only what is written can tell its writer to wait for a slow reader.
        if at_once or self._size >= LIMIT:
            self._flush()

    def close(self) -> None:
        """Close, after what was written."""
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
    """HTTP, and WebSockets too: these take over the transport of the request that opens them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the cork in."""
        super().connection_made(cast("asyncio.Transport", Corked(transport, self.loop)))
