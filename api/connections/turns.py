"""Handles what unknown clients send a few connections at a time, between other work.

A client is unknown until it has shown a valid token. A thousand of them may send at the same
moment, and the event loop hands over all that has arrived before it does anything else.
"""

import asyncio
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Connections whose data is handled in one pass of the event loop."""
MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Bytes that may wait. Beyond it, data is handled at once, so that it takes no memory."""


class Unknown(Protocol):
    """A connection of an unknown client."""

    def pause_reading(self) -> None:
        """Receive nothing more, until its turn."""

    def take_turn(self, data: bytes) -> None:
        """Receive again, and handle the data that has waited."""

    def abort(self) -> None:
        """Close it at once, without sending what waits."""


class Turns:
    """Which connections of unknown clients have their data handled in which pass of the loop."""

    def __init__(self) -> None:
        self._waiting: dict[Unknown, bytes] = {}
        self._waiting_bytes = 0
        self._taken = 0

    def crowded(self) -> bool:
        """Whether data waits, so that no new connection should be accepted yet."""
        return bool(self._waiting)

    def handles_now(self, connection: Unknown, data: bytes) -> bool:
        """Whether the connection handles the data now. Otherwise the data waits for its turn."""
        before = self._waiting.get(connection)
        if before is None:
            if self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
                return True
            if self._taken < AT_ONCE and not self._waiting:
                if not self._taken:
                    asyncio.get_running_loop().call_soon(self._next_pass)
                self._taken += 1
                return True
        connection.pause_reading()
        self._waiting[connection] = data if before is None else before + data
        self._waiting_bytes += len(data)
        return False

    def left(self, connection: Unknown) -> bytes:
        """Forget a connection that has ended or is known now. Returns its data that has waited."""
        data = self._waiting.pop(connection, b"")
        self._waiting_bytes -= len(data)
        return data

    def _next_pass(self) -> None:
        self._taken = 0
        while self._waiting and self._taken < AT_ONCE:
            self._taken += 1
            connection = next(iter(self._waiting))
            try:
                connection.take_turn(self.left(connection))
            except Exception:  # noqa: BLE001 - logged; the turns of all others must go on
                _log.exception("turn_failed")
                connection.abort()
        if self._taken:
            asyncio.get_running_loop().call_soon(self._next_pass)
