"""The owners of API keys, as the directory knows them: with the groups and roles of their keys.

A key with the role ENGINE is a program's, and never decides. So its groups and roles are those of
the owner only if all of the owner's keys are such.
"""

from collections.abc import Iterable

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from application.directory import KnownPerson
from domain.directory.state import PersonSource
from domain.names import is_reserved, normal
from domain.values import Role

# With those whom no valid key is left. Arrays are compared, so all are in the order of code points.
_DIFFERENT = """
    WITH valid AS (
        SELECT owner, roles, groups, 'ENGINE' = ANY (roles) AS engine FROM api_keys
        WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
    ), counted AS (
        SELECT valid.owner, valid.roles, valid.groups FROM valid
        JOIN (SELECT owner, bool_and(engine) AS engines FROM valid GROUP BY owner) AS owners
            ON owners.owner = valid.owner AND (owners.engines OR NOT valid.engine)
    ), with_roles AS (
        SELECT owner, array_agg(DISTINCT role COLLATE "C" ORDER BY role COLLATE "C") AS roles
        FROM counted, unnest(roles) AS role GROUP BY owner
    ), with_groups AS (
        SELECT owner, array_agg(DISTINCT name COLLATE "C" ORDER BY name COLLATE "C") AS groups
        FROM counted, unnest(groups) AS name GROUP BY owner
    ), owned AS (
        SELECT owner, roles, coalesce(groups, '{}') AS groups
        FROM with_roles LEFT JOIN with_groups USING (owner)
    )
    SELECT owned.owner, people.name, owned.roles, owned.groups
    FROM owned LEFT JOIN people ON people.id = owned.owner
    WHERE people.id IS NULL OR (
        people.source = 'API_KEY' AND (people.roles, people.groups) <> (owned.roles, owned.groups)
    )
    UNION ALL
    SELECT people.id, people.name, '{}', '{}' FROM people
    WHERE people.source = 'API_KEY' AND (people.roles <> '{}' OR people.groups <> '{}')
        AND EXISTS (SELECT FROM api_keys WHERE api_keys.owner = people.id)
        AND NOT EXISTS (SELECT FROM owned WHERE owned.owner = people.id)
    LIMIT 256
"""


async def owners_to_record(pool: AsyncConnectionPool) -> list[KnownPerson]:
    """Return up to 256 owners as their valid keys say, if the directory knows them otherwise."""
    async with pool.connection() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        rows = await (await cursor.execute(_DIFFERENT)).fetchall()
    return [
        KnownPerson(
            id=row["owner"],
            name=row["name"],
            groups=frozenset(row["groups"]),
            roles=frozenset(map(Role, row["roles"])),
            source=PersonSource.API_KEY,
        )
        for row in rows
        if not is_reserved(row["owner"])
    ]


def owner_with(owner: str, keys: Iterable[tuple[frozenset[Role], frozenset[str]]]) -> KnownPerson:
    """Return the owner of these valid keys, each with its roles and groups."""
    all_keys = list(keys)
    counted = [key for key in all_keys if Role.ENGINE not in key[0]] or all_keys
    return KnownPerson(
        id=normal(owner),
        groups=frozenset[str]().union(*(groups for _, groups in counted)),
        roles=frozenset[Role]().union(*(roles for roles, _ in counted)),
        source=PersonSource.API_KEY,
    )
