"""The two usual alternatives to Placet in a minimal form: an event bus, and a locked table."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

TABLE_POLL_SECONDS = 0.05
TABLE = """
CREATE TABLE IF NOT EXISTS machines (
    id uuid PRIMARY KEY,
    state text NOT NULL DEFAULT 'WAITING',
    decision text
);
CREATE INDEX IF NOT EXISTS machines_decided ON machines (id) WHERE state = 'DECIDED';
"""


class Bus:
    """An event bus in memory. A subscriber gets the messages that are published from then on.

    The bus stores nothing, so earlier messages are lost.
    """

    def __init__(self) -> None:
        self.subscribers: dict[str, set[asyncio.Queue[str]]] = {}

    def publish(self, topic: str, message: str) -> None:
        """Put a message into the queue of each subscriber of the topic."""
        for queue in self.subscribers.get(topic, ()):
            queue.put_nowait(message)

    @asynccontextmanager
    async def subscribed(self, topic: str) -> AsyncIterator[asyncio.Queue[str]]:
        """Return a queue of the topic's messages, for the block."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues = self.subscribers.setdefault(topic, set())
        queues.add(queue)
        try:
            yield queue
        finally:
            queues.discard(queue)
            if not queues:
                self.subscribers.pop(topic, None)


class Table:
    """State machines as rows: WAITING -> DECIDED -> RESUMED, each change under the row's lock.

    One poll for all waiters of a process takes the decided rows, so that no other process resumes
    them too. It is one statement, however many wait. ``transactions`` counts decisions and polls.
    ``poller`` is the id of the PostgreSQL backend that serves the polls.
    """

    def __init__(self, url: str, pool: AsyncConnectionPool) -> None:
        self._url = url
        self._pool = pool
        self._waiting: dict[UUID, asyncio.Future[str]] = {}
        self.transactions = 0
        self.poller: int | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["Table"]:
        """Create the table if it is missing, and poll it until the end of the block."""
        async with AsyncConnectionPool(url, min_size=4, max_size=16, open=False) as pool:
            async with pool.connection() as connection:
                await connection.execute(TABLE)
            table = cls(url, pool)
            polling = asyncio.create_task(table._poll())
            try:
                yield table
            finally:
                polling.cancel()
                with suppress(asyncio.CancelledError):
                    await polling

    async def add(self, number: int) -> Sequence[UUID]:
        """Insert this many waiting machines."""
        ids = [uuid4() for _ in range(number)]
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO machines (id) VALUES (%s)", [[id_] for id_ in ids]
            )
        return ids

    async def decide(self, id_: UUID, decision: str) -> bool:
        """Decide, under the row's lock. False if it was decided before."""
        self.transactions += 1
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT state FROM machines WHERE id = %s FOR UPDATE", [id_]
            )
            if await cursor.fetchone() != ("WAITING",):
                return False
            await connection.execute(
                "UPDATE machines SET state = 'DECIDED', decision = %s WHERE id = %s",
                [decision, id_],
            )
        return True

    async def wait(self, id_: UUID) -> str:
        """Wait until this process has taken the machine's decision, and return it."""
        future = self._waiting[id_] = asyncio.get_running_loop().create_future()
        try:
            decision: str = await future
            return decision
        finally:
            del self._waiting[id_]

    async def _poll(self) -> None:
        while True:
            # A lost connection is opened again, as any poller would.
            with suppress(psycopg.OperationalError):
                async with await AsyncConnection.connect(self._url) as connection:
                    self.poller = connection.info.backend_pid
                    await self._poll_on(connection)
            await asyncio.sleep(TABLE_POLL_SECONDS)

    async def _poll_on(self, connection: AsyncConnection) -> None:
        while True:
            self.transactions += 1
            cursor = await connection.execute(
                "UPDATE machines SET state = 'RESUMED' WHERE id IN (SELECT id FROM machines"
                " WHERE state = 'DECIDED' AND id = ANY (%s) FOR UPDATE SKIP LOCKED)"
                " RETURNING id, decision",
                [list(self._waiting)],
            )
            taken = await cursor.fetchall()
            await connection.commit()
            for id_, decision in taken:
                future = self._waiting.get(id_)
                if future is not None and not future.done():
                    future.set_result(decision)
            await asyncio.sleep(TABLE_POLL_SECONDS)
