"""Saved views: searches that a person has given a name, kept in the database.

A view is the address of a list with its filters. So it can also be sent to others, who have no view
of this name; what it shows is up to the rights of who opens it.
"""

from typing import LiteralString, NamedTuple

from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool

from application.one_at_a_time import one_at_a_time
from domain.names import normal

MOST = 50
MAX_NAME = 80

_ALL: LiteralString = """
    SELECT name, address FROM console_views WHERE person = %(person)s AND place = %(place)s
    ORDER BY name
"""
# A full list takes no further name, but one of its names can get another address.
_SAVE: LiteralString = """
    INSERT INTO console_views (person, place, name, address)
    SELECT %(person)s, %(place)s, %(name)s, %(address)s
    WHERE EXISTS (
        SELECT FROM console_views
        WHERE person = %(person)s AND place = %(place)s AND name = %(name)s
    ) OR (
        SELECT count(*) FROM console_views WHERE person = %(person)s AND place = %(place)s
    ) < %(most)s
    ON CONFLICT (person, place, name) DO UPDATE
    SET address = EXCLUDED.address, saved_at = clock_timestamp()
"""
_DELETE: LiteralString = """
    DELETE FROM console_views
    WHERE person = %(person)s AND place = %(place)s AND name = %(name)s
"""


class SavedView(NamedTuple):
    """A view: its name, and the address of the list with the filters."""

    name: str
    address: str


class SavedViews:
    """The views of all people. A place is a list that can be searched. Raises psycopg errors."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def of(self, person: str, place: str) -> list[SavedView]:
        """Return a person's views of a place, by name."""
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=namedtuple_row)
            await cursor.execute(_ALL, {"person": normal(person), "place": place})
            return [SavedView(*row) for row in await cursor.fetchall()]

    async def save(self, person: str, place: str, view: SavedView) -> bool:
        """Save a view, in place of one of the same name. False if there are 50 already."""
        params = {
            "person": normal(person),
            "place": place,
            "name": view.name,
            "address": view.address,
            "most": MOST,
        }
        async with one_at_a_time(self._pool, f"console_views/{params['person']}") as connection:
            return (await connection.execute(_SAVE, params)).rowcount > 0

    async def delete(self, person: str, place: str, name: str) -> bool:
        """Delete a view. False if there is none of this name."""
        params = {"person": normal(person), "place": place, "name": name}
        async with self._pool.connection() as connection:
            return (await connection.execute(_DELETE, params)).rowcount > 0
