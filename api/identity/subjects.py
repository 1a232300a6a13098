"""Which subject of an issuer has which id.

The first subject with an id keeps it, whatever its claims say later, and no other subject of the
issuer gets it: a name that became free must not bring along the decisions of who had it before.
"""

from psycopg_pool import AsyncConnectionPool

_SETTLE = """
    WITH added AS (
        INSERT INTO identity_subjects (issuer, subject, person)
        VALUES (%(issuer)s, %(subject)s, %(person)s)
        ON CONFLICT DO NOTHING RETURNING person
    )
    SELECT person FROM added
    UNION ALL
    SELECT person FROM identity_subjects WHERE issuer = %(issuer)s AND subject = %(subject)s
"""


class Subjects:
    """The subjects of one database. Raises psycopg errors if it is unavailable."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def settle(self, issuer: str, subject: str, person: str) -> str | None:
        """Return the id of a subject, which is ``person`` if it has none yet.

        None if another subject of the issuer has this id.
        """
        given = {"issuer": issuer, "subject": subject, "person": person}
        # A second time, because one statement does not see what another adds at the same time.
        for _ in range(2):
            async with self._pool.connection() as connection:
                row = await (await connection.execute(_SETTLE, given)).fetchone()
            if row is not None:
                return str(row[0])
        return None
