"""What SCIM asks of the tables of the directory, and its groups."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool
from scim2_models import UniquenessException

from api.scim.resources import StoredGroup
from application.directory import KnownPerson, known_person, storable

# By the expressions that have an index. Whatever else is asked for is compared here.
COLUMNS = {
    "id": SQL("provisioned_id::text"),
    "username": SQL("lower(details ->> 'userName')"),
    "externalid": SQL("external_id"),
}
_USERS = SQL("""
    SELECT *, count(*) OVER () AS total FROM people WHERE provisioned_id IS NOT NULL AND {}
    ORDER BY id COLLATE "C" OFFSET %s LIMIT %s
""")
_BY_ID = SQL("SELECT * FROM people WHERE provisioned_id = ANY (%s)")
_GROUPS = SQL("""
    SELECT *, count(*) OVER () AS total FROM scim_groups WHERE {}
    ORDER BY name COLLATE "C" OFFSET %s LIMIT %s
""")
_MEMBERS = SQL("""
    SELECT of.name AS group_name, provisioned_id, coalesce(people.name, people.id) AS shown
    FROM people, unnest(people.groups) AS of (name)
    WHERE provisioned_id IS NOT NULL AND source = 'SCIM' AND people.groups && %(names)s::text[]
        AND of.name = ANY (%(names)s)
    ORDER BY people.id COLLATE "C"
""")
_GROUP_IDS = SQL("SELECT name, id FROM scim_groups WHERE name = ANY (%s)")
_PUT_GROUP = SQL("""
    INSERT INTO scim_groups (id, name, details) VALUES (%s, %s, %s)
    ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, details = EXCLUDED.details,
        changed_at = clock_timestamp()
""")
_TAKEN = SQL("SELECT FROM scim_groups WHERE name = %s AND id <> %s")
_DROP_GROUP = SQL("DELETE FROM scim_groups WHERE id = %s")
_ALL = SQL("true")


class ScimTables:
    """The tables of one database. Raises psycopg errors or PoolTimeout if it is unavailable."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def users(
        self, column: str | None, value: str, *, start: int, limit: int
    ) -> tuple[list[KnownPerson], int]:
        """Return up to ``limit`` users in the order of their ids, and how many there are in all.

        ``column`` of COLUMNS has this value; None: any.
        """
        where, params = _where(column, value)
        if params and not storable(params):
            return [], 0
        rows = await self._rows(_USERS.format(where), [*params, start, limit])
        return [known_person(row) for row in rows], rows[0]["total"] if rows else 0

    async def users_by_id(self, ids: Iterable[UUID]) -> dict[UUID, KnownPerson]:
        """Return the users with these ids."""
        rows = await self._rows(_BY_ID, [list(ids)])
        return {row["provisioned_id"]: known_person(row) for row in rows}

    async def group_ids(self, names: Iterable[str]) -> dict[str, UUID]:
        """Return the ids of groups by their names. Unknown ones are left out."""
        rows = await self._rows(_GROUP_IDS, [storable(names)])
        return {row["name"]: row["id"] for row in rows}

    async def groups(
        self, column: str | None, value: str, *, start: int, limit: int
    ) -> tuple[list[StoredGroup], int]:
        """Return up to ``limit`` groups in the order of their names, and how many there are.

        ``column`` is id or displayname; None: any.
        """
        where, params = _ALL, list[str]()
        if column is not None:
            where, params = SQL("id::text = %s" if column == "id" else "name = %s"), [value]
        if params and not storable(params):
            return [], 0
        rows = await self._rows(_GROUPS.format(where), [*params, start, limit])
        members: dict[str, list[tuple[UUID, str]]] = defaultdict(list)
        names = [row["name"] for row in rows]
        for row in await self._rows(_MEMBERS, {"names": names}) if names else ():
            members[row["group_name"]].append((row["provisioned_id"], row["shown"]))
        return [
            StoredGroup(
                id=row["id"],
                name=row["name"],
                details=row["details"],
                members=tuple(members[row["name"]]),
            )
            for row in rows
        ], rows[0]["total"] if rows else 0

    async def put_group(self, id_: UUID, name: str, details: dict[str, Any]) -> None:
        """Make or change a group. Raises UniquenessException if another has the name."""
        try:
            await self._execute(_PUT_GROUP, [id_, name, Jsonb(details)])
        except psycopg.errors.UniqueViolation:
            raise _taken(name) from None

    async def check_free(self, id_: UUID, name: str) -> None:
        """Raise UniquenessException if another group has the name."""
        if await self._rows(_TAKEN, [name, id_]):
            raise _taken(name)

    async def drop_group(self, id_: UUID) -> None:
        """Delete a group."""
        await self._execute(_DROP_GROUP, [id_])

    async def _execute(self, statement: SQL, params: list[Any]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(statement, params)

    async def _rows(self, statement: SQL | Composed, params: Any) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, params)
            return await cursor.fetchall()


def _taken(name: str) -> UniquenessException:
    return UniquenessException(detail=f"there is a group with the displayName {name!r} already")


def _where(column: str | None, value: str) -> tuple[SQL | Composed, list[str]]:
    if column is None:
        return _ALL, []
    if column == "username":
        return SQL("{} = lower(%s)").format(COLUMNS[column]), [value]
    return SQL("{} = %s").format(COLUMNS[column]), [value]


def simple(filter_: Any, columns: Iterable[str]) -> tuple[str, str] | None:
    """Return column and value of a filter that asks for one value of one column, else None."""
    attribute, _, rest = str(filter_).strip().partition(" ")
    operator, _, given = rest.strip().partition(" ")
    if attribute.lower() not in columns or operator.lower() != "eq":
        return None
    try:
        value = msgspec.json.decode(given.strip())
    except msgspec.DecodeError:
        return None
    return (attribute.lower(), value) if isinstance(value, str) else None
