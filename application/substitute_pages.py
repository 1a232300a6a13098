"""Lists of substitutions that are not over, and whether one more would close a circle."""

from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from application.directory import storable
from domain.directory.commands import SetSubstitute
from domain.names import normal

_PAGE = """
    SELECT stream_id, person, number FROM substitutes
    WHERE ends_at > clock_timestamp()
        AND (%(involving)s::text IS NULL OR person = %(involving)s OR substitute = %(involving)s)
        AND (%(after)s::text IS NULL OR (person COLLATE "C", number) > (%(after)s, %(number)s))
    ORDER BY person COLLATE "C", number LIMIT %(limit)s
"""
_COUNT = """
    SELECT count(*) FROM substitutes
    WHERE ends_at > clock_timestamp()
        AND (%(involving)s::text IS NULL OR person = %(involving)s OR substitute = %(involving)s)
"""
# Who would be absent at the same time as their substitute, from one to the next.
_IN_TURN = """
    WITH RECURSIVE given AS (
        SELECT coalesce(%(starts_at)s::timestamptz, clock_timestamp()) AS starts_at,
            %(ends_at)s::timestamptz AS ends_at
    ), in_turn (person, steps) AS (
        SELECT %(substitute)s::text, 0
        UNION
        SELECT s.substitute, steps + 1
        FROM in_turn JOIN substitutes AS s ON s.person = in_turn.person, given
        WHERE s.starts_at < given.ends_at AND s.ends_at > given.starts_at AND steps < 20
    )
    SELECT EXISTS (SELECT FROM in_turn WHERE person = %(person)s) AS closed
"""


class SubstituteKey(NamedTuple):
    """Which substitution it is: of whom, and its number. ``stream_id`` is that of the person."""

    stream_id: UUID
    person: str
    number: int


class SubstitutePages:
    """The substitutions of one database. Raises psycopg errors if it is unavailable."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def page(
        self,
        *,
        involving: str | None = None,
        after: tuple[str, int] | None = None,
        limit: int,
    ) -> list[SubstituteKey]:
        """Return up to ``limit`` substitutions that are not over, by person and number.

        ``involving`` is a person who is absent or who is the substitute; None is everybody.
        ``after`` has the person and the number of the last one of the page before.
        """
        person, number = after or (None, 0)
        if not _storable(involving, person):
            return []
        params = {"involving": _normal(involving), "after": person, "number": number}
        rows = await self._rows(_PAGE, {**params, "limit": limit})
        return [SubstituteKey(row["stream_id"], row["person"], row["number"]) for row in rows]

    async def count(self, *, involving: str | None = None) -> int:
        """Count the substitutions of all pages."""
        if not _storable(involving):
            return 0
        [row] = await self._rows(_COUNT, {"involving": _normal(involving)})
        count: int = row["count"]
        return count

    async def closes_circle(self, command: SetSubstitute) -> bool:
        """Whether the substitute has the absent person as theirs meanwhile, or through others."""
        if not _storable(command.person, command.substitute):
            return False
        params = {
            "person": command.person,
            "substitute": command.substitute,
            "starts_at": command.starts_at,
            "ends_at": command.ends_at,
        }
        [row] = await self._rows(_IN_TURN, params)
        closed: bool = row["closed"]
        return closed

    async def _rows(self, statement: LiteralString, params: dict[str, Any]) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, params)
            return await cursor.fetchall()


def _normal(name: str | None) -> str | None:
    return None if name is None else normal(name)


def _storable(*names: str | None) -> bool:
    given = [name for name in names if name is not None]
    return storable(given) == given
