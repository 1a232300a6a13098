"""API keys: tokens for machines and people, stored as hashes."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from domain import validation
from domain.names import normal, normal_set
from domain.values import Principal, Role

PREFIX = "placet_"

_CREATE = """
    INSERT INTO api_keys (name, owner, roles, groups, queues, token_hash, expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_ALL = "SELECT * FROM api_keys ORDER BY created_at, name"
_REVOKE = """
    UPDATE api_keys SET revoked_at = clock_timestamp()
    WHERE name = %s AND revoked_at IS NULL RETURNING name
"""
# By the database's clock, so that all servers refuse a key at the same moment.
_FIND = """
    SELECT * FROM api_keys WHERE token_hash = ANY(%s) AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > clock_timestamp())
"""


class DuplicateNameError(Exception):
    """There is a key of this name already, perhaps a revoked one."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its token. The token itself is not stored.

    ``queues`` of None means every queue. All times are in UTC.
    """

    name: str
    owner: str
    roles: frozenset[Role]
    groups: frozenset[str]
    queues: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @property
    def principal(self) -> Principal:
        """The principal of a request with this key. All keys of an owner are the same person."""
        return Principal(
            id=self.owner,
            name=self.name,
            roles=self.roles,
            groups=self.groups,
            queues=self.queues,
        )

    def shown(self) -> dict[str, Any]:
        """Return the key as JSON, with its sets sorted."""
        shown: dict[str, Any] = msgspec.to_builtins(self, order="deterministic")
        return shown


class ApiKeys:
    """The keys of one database. Raises psycopg errors if it is unavailable."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def create(
        self,
        name: str,
        *,
        owner: str | None = None,
        roles: Iterable[Role],
        groups: Iterable[str] = (),
        queues: Iterable[str] | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Create a key and return its token, which can't be returned again.

        ``owner`` is by default the key's own name. Raises ValueError for an invalid name or if
        there are no roles, and DuplicateNameError for a name that exists already.
        """
        owner, roles, groups = owner or name, sorted(set(roles)), sorted(set(groups))
        served = None if queues is None else sorted(set(queues))
        problem = validation.first(
            validation.name(name, "name"),
            validation.name(owner, "owner"),
            *(validation.name(group, "group") for group in groups),
            *(validation.name(queue, "queue") for queue in served or ()),
            None if roles else "a key needs at least one role",
        )
        if problem:
            raise ValueError(problem)
        token = PREFIX + secrets.token_urlsafe(32)
        owner, groups = normal(owner), sorted(normal_set(groups))
        values = (name, owner, roles, groups, served, _hash(token), expires_at)
        try:
            async with self._pool.connection() as connection:
                await connection.execute(_CREATE, values)
        except psycopg.errors.UniqueViolation as error:
            msg = f"there is a key named {name!r} already; names are not used twice"
            raise DuplicateNameError(msg) from error
        return token

    async def all(self) -> list[ApiKey]:
        """Return all keys, also revoked and expired ones, in the order of their creation."""
        return [_key(row) for row in await self._rows(_ALL, ())]

    async def revoke(self, name: str) -> bool:
        """Revoke a key permanently. False if there is no such key or it was revoked before."""
        return bool(await self._rows(_REVOKE, (name,)))

    async def find(self, token: str) -> Principal | None:
        """Return the principal of a token, None if it is unknown, expired or revoked."""
        return (await self.find_all([token])).get(token)

    async def find_all(self, tokens: Iterable[str]) -> dict[str, Principal]:
        """Return the principal of each token that is known, not expired and not revoked."""
        hashed = {_hash(token): token for token in tokens}
        rows = await self._rows(_FIND, (list(hashed),))
        return {hashed[bytes(row["token_hash"])]: _key(row).principal for row in rows}

    async def _rows(self, statement: str, params: tuple[Any, ...]) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, params)
            return await cursor.fetchall()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _key(row: dict[str, Any]) -> ApiKey:
    def utc(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment.astimezone(UTC)

    return ApiKey(
        name=row["name"],
        owner=row["owner"],
        roles=frozenset(map(Role, row["roles"])),
        groups=frozenset(row["groups"]),
        queues=None if row["queues"] is None else frozenset(row["queues"]),
        created_at=row["created_at"].astimezone(UTC),
        expires_at=utc(row["expires_at"]),
        revoked_at=utc(row["revoked_at"]),
    )
