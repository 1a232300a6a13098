"""How much clients may read from the database: connections, and bytes in memory.

Each request reads one thing at a time. All requests of one client together have a share of the
connections, and a share of the memory for what was read. So nobody can keep the others from
reading. What a server reads for itself is not limited.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

MAX_IDLE_ACCOUNTS = 1_000
DECODED = 4
"""How many times its stored bytes what is read and decoded is charged."""


class ReadLimits(NamedTuple):
    """What clients may read.

    Bytes that one request may read, and that all requests of a client may hold at a time; and how
    many subscriptions of a client may follow the whole log.
    """

    request: int = 64 * 1024 * 1024
    client: int = 64 * 1024 * 1024
    followers: int = 50


class ReadLimitError(Exception):
    """A request reads too much. The message is for clients."""


class ReadShareError(Exception):
    """The requests of a client hold too much at the moment. The message is for clients."""


class _Account:
    """What one client uses."""

    def __init__(self, connections: int) -> None:
        self.held = 0
        self.requests = 0
        self.followers = 0
        self.connections = asyncio.Semaphore(connections)


class Reading:
    """What one request reads. Use it in the task of the request, and finish it at its end."""

    def __init__(self, account: _Account, limits: ReadLimits) -> None:
        self.read = 0
        self.turn = asyncio.Lock()
        self.account = account
        self._limits = limits
        account.requests += 1

    def charge(self, size: int) -> None:
        """Count bytes that were read. Raises ReadLimitError or ReadShareError."""
        self.read += size
        self.account.held += size
        self.check()

    def check(self) -> None:
        """Raise ReadLimitError or ReadShareError if nothing more may be read."""
        if self.read > self._limits.request:
            limit = self._limits.request >> 20
            msg = f"the request reads more than {limit} MiB from the log; ask for less at once"
            raise ReadLimitError(msg)
        if self.account.held > self._limits.client:
            limit = self._limits.client >> 20
            msg = f"the open requests of this client hold more than {limit} MiB; wait for answers"
            raise ReadShareError(msg)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Count a subscription to the whole log for the block. Raises ReadLimitError."""
        if self.account.followers >= self._limits.followers:
            msg = (
                f"this client already has {self._limits.followers} subscriptions to all events or "
                "approvals, which is the limit; end one, or let one serve several purposes"
            )
            raise ReadLimitError(msg)
        self.account.followers += 1
        try:
            yield
        finally:
            self.account.followers -= 1

    def let_go(self) -> None:
        """Give back what was read so far, and go on."""
        self.account.held -= self.read
        self.read = 0

    def finish(self) -> None:
        """Give back what was read."""
        self.let_go()
        self.account.requests -= 1


READING: ContextVar[Reading | None] = ContextVar("placet_reading", default=None)
"""What the current request reads. None: the server reads for itself."""


def charge(size: int) -> None:
    """Count bytes that the current request has read. Raises ReadLimitError or ReadShareError."""
    reading = READING.get()
    if reading is not None:
        reading.charge(size)


class SharedPool(AsyncConnectionPool[AsyncConnection[Any]]):
    """Connections for the requests of clients. Each client gets at most half of them at a time."""

    def __init__(self, *args: Any, limits: ReadLimits | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits or ReadLimits()
        self._accounts: dict[str, _Account] = {}

    def begin(self, client: str) -> Reading:
        """Begin a request of a client, in its task."""
        account = self._accounts.get(client)
        if account is None:
            # Those without open requests are dropped now and then.
            if len(self._accounts) >= MAX_IDLE_ACCOUNTS:
                self._accounts = {n: each for n, each in self._accounts.items() if each.requests}
            account = self._accounts[client] = _Account(max(1, self.max_size // 2))
        reading = Reading(account, self._limits)
        READING.set(reading)
        return reading

    @asynccontextmanager
    async def connection(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - it is the pool's
    ) -> AsyncIterator[AsyncConnection[Any]]:
        """Give a connection. Raises PoolTimeout, ReadLimitError or ReadShareError."""
        reading = READING.get()
        if reading is None:
            async with super().connection(timeout) as connection:
                yield connection
            return
        async with reading.turn:
            reading.check()
            try:
                async with asyncio.timeout(self.timeout if timeout is None else timeout):
                    await reading.account.connections.acquire()
            except TimeoutError as error:
                raise PoolTimeout("all connections of this client are in use") from error
            try:
                async with super().connection(timeout) as connection:
                    yield connection
            finally:
                reading.account.connections.release()
