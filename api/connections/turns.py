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
HEALTH_CHECKS_AT_ONCE = 2
"""How many of them are health checks, if others wait too."""
MAX_WAITING_BYTES = 8 * 1024 * 1024
"""Bytes that may wait. Beyond it, data is handled at once, so that it takes no memory."""
_HEALTH_CHECKS = (b"GET /livez ", b"GET /readyz ")
_END_OF_HEAD = b"\r\n\r\n"

Lane = dict["Unknown", bytes]


class Unknown(Protocol):
    """A connection of an unknown client."""

    def pause_reading(self) -> None:
        """Receive nothing more, until its turn."""

    def take_turn(self, data: bytes) -> None:
        """Receive again, and handle the data that has waited."""

    def abort(self) -> None:
        """Close it at once, without sending what waits."""


class Turns:
    """Which connections of unknown clients have their data handled in which pass of the loop.

    Health checks have a lane of their own. If they came late, the server would be ended.
    """

    def __init__(self) -> None:
        self._health_checks: Lane = {}
        self._others: Lane = {}
        self._waiting_bytes = 0
        self._taken = 0

    def waiting(self) -> bool:
        """Whether data waits."""
        return bool(self._health_checks or self._others)

    def handles_now(self, connection: Unknown, data: bytes) -> bool:
        """Whether the connection handles the data now. Otherwise the data waits for its turn."""
        lane = self._lane(connection, data)
        before = lane.get(connection)
        if before is None:
            if self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
                return True
            if self._taken < AT_ONCE and not lane:
                if not self._taken:
                    asyncio.get_running_loop().call_soon(self._next_pass)
                self._taken += 1
                return True
        connection.pause_reading()
        lane[connection] = data if before is None else before + data
        self._waiting_bytes += len(data)
        return False

    def left(self, connection: Unknown) -> bytes:
        """Forget a connection that has ended or is known now. Returns its data that has waited."""
        data = self._health_checks.pop(connection, b"") + self._others.pop(connection, b"")
        self._waiting_bytes -= len(data)
        return data

    def _lane(self, connection: Unknown, data: bytes) -> Lane:
        if connection in self._health_checks:
            return self._health_checks
        if connection not in self._others and _is_health_check(data):
            return self._health_checks
        return self._others

    def _next_pass(self) -> None:
        self._taken = 0
        self._take(self._health_checks, HEALTH_CHECKS_AT_ONCE)
        self._take(self._others, AT_ONCE)
        self._take(self._health_checks, AT_ONCE)
        if self._taken:
            asyncio.get_running_loop().call_soon(self._next_pass)

    def _take(self, lane: Lane, most: int) -> None:
        while lane and self._taken < most:
            self._taken += 1
            connection = next(iter(lane))
            try:
                connection.take_turn(self.left(connection))
            except Exception:  # noqa: BLE001 - logged; the turns of all others must go on
                _log.exception("turn_failed")
                connection.abort()


def _is_health_check(data: bytes) -> bool:
    """Whether it is one whole request for a health check, and nothing else."""
    return data.startswith(_HEALTH_CHECKS) and data.find(_END_OF_HEAD) == len(data) - len(
        _END_OF_HEAD
    )
