"""Duties: what one process does for all of them, by turns that end by the database's time."""

from datetime import timedelta
from time import monotonic
from uuid import uuid4

from psycopg_pool import AsyncConnectionPool

TERM = timedelta(seconds=3)
RENEW_AFTER = 1.0

_TAKE = """
    INSERT INTO duties AS d (name, holder, expires_at)
    VALUES (%(name)s, %(holder)s, clock_timestamp() + %(term)s)
    ON CONFLICT (name) DO UPDATE SET holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at
    WHERE d.holder = EXCLUDED.holder OR d.expires_at <= clock_timestamp()
    RETURNING true
"""
_LAY_DOWN = "DELETE FROM duties WHERE name = %s AND holder = %s"


class LeaderLease:
    """A turn at one duty. It spares work; whatever is done by it must do no harm if done twice.

    A process that was stopped loses its turn, and may act once more when it goes on.
    """

    def __init__(self, name: str, pool: AsyncConnectionPool) -> None:
        self._name = name
        self._pool = pool
        self._holder = uuid4()
        self._renew_at = 0.0

    async def take(self) -> bool:
        """Take the turn or keep it; False if it is another process's. Raises psycopg errors."""
        now = monotonic()
        if now < self._renew_at:
            return True
        params = {"name": self._name, "holder": self._holder, "term": TERM}
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_TAKE, params)
            taken = await cursor.fetchone() is not None
        self._renew_at = now + RENEW_AFTER if taken else 0.0
        return taken

    async def lay_down(self) -> None:
        """Let another process take the turn at once. Raises psycopg errors."""
        self._renew_at = 0.0
        async with self._pool.connection() as connection:
            await connection.execute(_LAY_DOWN, (self._name, self._holder))
