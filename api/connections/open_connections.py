"""All open connections of a process: how many there may be, and which are closed to make room.

A client that waits for an answer is never cut off. One that keeps the server waiting may be: it has
not sent its whole request or its ``connection_init``, or it keeps an idle connection open.
"""

import asyncio
import logging
from math import inf
from typing import NamedTuple, Protocol

import structlog

from api.connections.turns import AT_ONCE, Turns, Unknown
from application.background_tasks import stop

_log = structlog.get_logger(__name__)

QUIET = logging.getLogger("placet.connections")
"""The logger of single connections. Their clients could fill the log, and writing it takes time."""
QUIET.setLevel(logging.ERROR)

CHECK_EVERY = 0.5


class ConnectionLimits(NamedTuple):
    """Limits of all connections.

    ``most`` is how many may be open. A request, or a message on a WebSocket, must be complete after
    ``complete_within`` seconds, its headers after ``headers_within``. A client must read: if
    nothing is read of an answer for ``read_within`` seconds, its connection is closed. All
    incomplete messages on WebSockets together may have ``incomplete_bytes``.
    """

    most: int = 1_000
    headers_within: float = 10.0
    complete_within: float = 30.0
    read_within: float = 20.0
    incomplete_bytes: int = 32 * 1024 * 1024


class Connection(Unknown, Protocol):
    """A connection. ``deadline``: when the server has waited long enough for the client."""

    deadline: float

    @property
    def unsent(self) -> int:
        """How many bytes wait to be sent."""

    def timed_out(self) -> None:
        """Close it, because its deadline has passed."""

    def crowded_out(self) -> None:
        """Close it, to make room for another one."""


class OpenConnections:
    """Counts connections, closes the oldest waiting ones if there are too many, and times them."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._all: dict[Connection, _Sending] = {}
        # Those that keep the server waiting, the one that has done so for longest first.
        self._waiting: dict[Connection, None] = {}
        self._known_waiting: dict[Connection, None] = {}
        self._incomplete: dict[Connection, int] = {}
        self._incomplete_bytes = 0
        self.turns = Turns()
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._all)

    async def start(self) -> None:
        """Begin to watch the deadlines."""
        self._tasks = [asyncio.create_task(self._watch(), name="placet-connections")]

    async def close(self) -> None:
        """End it."""
        await stop(self._tasks)

    def opened(self, connection: Connection) -> None:
        """Note a new connection. If there are too many, one is closed that the server waits for."""
        if len(self._all) >= self.limits.most:
            crowded = next(iter(self._waiting or self._known_waiting), connection)
            self._all.pop(crowded, None)
            self._forget_waiting(crowded)
            if crowded is connection:
                _log.warning("too_many_connections", open=len(self._all))
                connection.crowded_out()
                return
            crowded.crowded_out()
        self._all[connection] = _Sending(0, inf)
        self._waiting[connection] = None

    def closed(self, connection: Connection) -> None:
        """Note that a connection has ended."""
        self._all.pop(connection, None)
        self._forget_waiting(connection)
        self.turns.left(connection)
        self.incomplete(connection, 0)

    def waits(self, connection: Connection, *, known: bool) -> None:
        """Note that the server waits for the client from now on.

        ``known``: the client has shown its token. It is closed only if no other client waits.
        """
        if connection in self._all:
            (self._known_waiting if known else self._waiting)[connection] = None

    def works(self, connection: Connection) -> None:
        """Note that the client waits for the server: the connection is not closed for others."""
        self._forget_waiting(connection)

    def incomplete(self, connection: Connection, size: int) -> None:
        """Note how many bytes of an incomplete message are held for a connection.

        If all together are too many, the connection whose message is oldest is closed.
        """
        before = self._incomplete.get(connection, 0)
        if size == before:
            return
        self._incomplete_bytes += size - before
        if not size:
            del self._incomplete[connection]
            return
        self._incomplete[connection] = size
        if self._incomplete_bytes > self.limits.incomplete_bytes:
            oldest = next(iter(self._incomplete))
            self._incomplete_bytes -= self._incomplete.pop(oldest)
            oldest.crowded_out()

    def _forget_waiting(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)
        self._known_waiting.pop(connection, None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            try:
                await self._check(asyncio.get_running_loop().time())
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("connections_not_checked")

    async def _check(self, now: float) -> None:
        closed = 0
        for connection, sending in tuple(self._all.items()):
            if connection not in self._all:
                continue
            if connection.deadline <= now:
                connection.deadline = inf
                connection.timed_out()
                closed += 1
                if closed % AT_ONCE == 0:
                    # Those that came together have their deadlines together.
                    await asyncio.sleep(0)
                continue
            unsent = connection.unsent
            if not unsent:
                sending.until = inf
            elif sending.until == inf or unsent <= sending.less_than:
                sending.less_than = max(unsent - ENOUGH, 0)
                sending.until = now + self.limits.read_within
            elif sending.until <= now:
                _log.info("client_does_not_read", unsent=unsent)
                connection.abort()


ENOUGH = 64 * 1024
"""How many bytes a client must read in ``read_within`` seconds, if that many wait for it."""


class _Sending:
    """Until when no more than ``less_than`` bytes may wait to be sent."""

    __slots__ = ("less_than", "until")

    def __init__(self, less_than: int, until: float) -> None:
        self.less_than = less_than
        self.until = until
