"""API keys: tokens for machines and people, stored as hashes."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import uuid4

import msgspec
import structlog
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from application.command_handling.outcomes import Accepted, Outcome, Refused, UnavailableError
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.directory import record_command
from application.key_owners import owner_with
from domain.authorization import COMMAND_LINE, SERVICE
from domain.directory.key_commands import (
    AdoptApiKey,
    CreateApiKey,
    RevokeApiKey,
    RotateApiKey,
)
from domain.execution.commands import Command
from domain.names import is_reserved
from domain.refusals import RefusalCode
from domain.values import Principal, Role

_log = structlog.get_logger(__name__)

PREFIX = "placet_"

_ALL = "SELECT * FROM api_keys ORDER BY created_at, name"
_ONE = "SELECT * FROM api_keys WHERE name = %s"
_OF_OWNER = """
    SELECT * FROM api_keys WHERE owner = %s AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > clock_timestamp())
"""
# By the database's clock, so that all servers refuse a key at the same moment. In two parts, so
# that each finds its keys by an index.
_FIND = """
    SELECT given.hash, k.* FROM unnest(%(hashes)s::bytea[]) AS given (hash)
    JOIN api_keys AS k ON k.token_hash = given.hash
    WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
    UNION ALL
    SELECT given.hash, k.* FROM unnest(%(hashes)s::bytea[]) AS given (hash)
    JOIN api_keys AS k ON k.previous_hash = given.hash AND k.previous_until > clock_timestamp()
    WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
"""
# At most once a minute for each key, however many servers see it used. Rows that the writer holds
# are skipped, so that the two never wait for each other.
_USED = """
    WITH due AS (
        SELECT name FROM api_keys WHERE name = ANY (%s)
            AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
        FOR UPDATE SKIP LOCKED
    )
    UPDATE api_keys SET last_used_at = clock_timestamp() FROM due WHERE api_keys.name = due.name
    RETURNING due.name
"""


class DuplicateNameError(Exception):
    """There is a key of this name already, perhaps a revoked one."""


class KeyChangedError(Exception):
    """The key was rotated or revoked meanwhile, has expired, or there is none of this name."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its token. The token itself is not stored.

    ``queues`` of None means every queue. ``generation`` counts its secrets from 1. The one before
    the last is valid until ``previous_until``. ``last_used_at`` is right to within a minute. Who
    made, rotated and revoked it is None if it was done from the command line. All times are in UTC.
    """

    name: str
    owner: str
    roles: frozenset[Role]
    groups: frozenset[str]
    queues: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = None
    generation: int = 1
    rotated_at: datetime | None = None
    previous_until: datetime | None = None
    token_hash: bytes = b""
    previous_hash: bytes | None = None
    created_by: str | None = None
    rotated_by: str | None = None
    revoked_by: str | None = None

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
        return {name: value for name, value in shown.items() if not name.endswith("_hash")}


class ApiKeys:
    """The keys of one database. Raises psycopg errors and UnavailableError if it is unavailable.

    What changes a key is recorded as an event, in the commit that changes its row. Without a
    ``writer``, keys can only be read. ``by`` is who makes a change: an ADMIN, or the command line.
    """

    def __init__(self, pool: AsyncConnectionPool, writer: Writer | None = None) -> None:
        self._pool = pool
        self._writer = writer

    async def create(
        self,
        name: str,
        *,
        owner: str | None = None,
        roles: Iterable[Role],
        groups: Iterable[str] = (),
        queues: Iterable[str] | None = None,
        expires_at: datetime | None = None,
        by: Principal = COMMAND_LINE,
    ) -> str:
        """Create a key and return its token, which can't be returned again.

        ``owner`` is by default the key's own name. The directory knows the owner from then on.
        Raises ValueError for an invalid name or if there are no roles, and DuplicateNameError for a
        name that exists already.
        """
        token = _new_token()
        command = CreateApiKey(
            by=by,
            name=name,
            owner=owner or name,
            roles=frozenset(map(Role, roles)),
            groups=frozenset(groups),
            queues=None if queues is None else frozenset(queues),
            expires_at=expires_at,
            token_hash=token_hash(token).hex(),
        )
        if command.problem:
            raise ValueError(command.problem)
        if await self.named(name) is not None:
            msg = f"there is a key named {name!r} already; names are not used twice"
            raise DuplicateNameError(msg)
        await self._send(command)
        await self._record_owner(command.owner)
        return token

    async def rotate(
        self, name: str, *, generation: int, overlap: timedelta, by: Principal = COMMAND_LINE
    ) -> str:
        """Give a key another token, and return it. It can't be returned again.

        The token before it stays valid for ``overlap``, and one before that ends at once.
        ``generation`` is the one of the key that is to be replaced. Raises KeyChangedError if it
        has another or is not valid, and ValueError for an overlap of more than 30 days.
        """
        token = _new_token()
        command = RotateApiKey(
            by=by,
            name=name,
            generation=generation,
            overlap=overlap,
            token_hash=token_hash(token).hex(),
        )
        if command.problem:
            raise ValueError(command.problem)
        key = await self.named(name)
        if key is None:
            msg = f"there is no key {name!r}"
            raise KeyChangedError(msg)
        await self._send(*self._adopted(key), command)
        return token

    async def all(self) -> list[ApiKey]:
        """Return all keys, also revoked and expired ones, in the order of their creation."""
        return [_key(row) for row in await self._rows(_ALL, ())]

    async def named(self, name: str) -> ApiKey | None:
        """Return the key of this name, also a revoked one."""
        rows = await self._rows(_ONE, (name,))
        return _key(rows[0]) if rows else None

    async def revoke(self, name: str, by: Principal = COMMAND_LINE) -> bool:
        """Revoke a key permanently. False if there is no such key or it was revoked before."""
        key = await self.named(name)
        if key is None or key.revoked_at is not None:
            return False
        accepted = await self._send(*self._adopted(key), RevokeApiKey(by=by, name=name))
        await self._record_owner(key.owner)
        return not accepted.repeated

    async def note_use(self, names: Iterable[str]) -> None:
        """Note that keys are in use now. It writes at most once a minute for each."""
        await self._rows(_USED, (list(names),))

    async def find(self, token: str) -> Principal | None:
        """Return the principal of a token, None if it is unknown, expired or revoked."""
        return (await self.find_all([token])).get(token)

    async def find_all(self, tokens: Iterable[str]) -> dict[str, Principal]:
        """Return the principal of each token that is known, not expired and not revoked."""
        hashed = {token_hash(token): token for token in tokens}
        rows = await self._rows(_FIND, {"hashes": list(hashed)})
        return {
            hashed[bytes(row["hash"])]: _key(row).principal
            for row in rows
            # A key that was made before these names were reserved.
            if not is_reserved(row["owner"])
        }

    def _adopted(self, key: "ApiKey") -> list[AdoptApiKey]:
        """Return the command that records a key of before. If it has events, that is a repeat."""
        return [
            AdoptApiKey(
                by=SERVICE,
                name=key.name,
                owner=key.owner,
                roles=key.roles,
                groups=key.groups,
                queues=key.queues,
                expires_at=key.expires_at,
                token_hash=key.token_hash.hex(),
                created_at=key.created_at,
                created_by=key.created_by,
                generation=key.generation,
                rotated_at=key.rotated_at,
                rotated_by=key.rotated_by,
                previous_hash=None if key.previous_hash is None else key.previous_hash.hex(),
                previous_until=key.previous_until,
            )
        ]

    async def _record_owner(self, owner: str) -> None:
        """Have the directory know the owner with what their valid keys give them.

        If that fails, the process that leads does it within a minute.
        """
        rows = await self._rows(_OF_OWNER, (owner,))
        keys = [(key.roles, key.groups) for key in map(_key, rows)]
        outcome = await self._handle(record_command(SERVICE, owner_with(owner, keys)))
        if not isinstance(outcome, Accepted):
            _log.warning("owner_not_recorded", owner=owner, reason=str(outcome))

    async def _send(self, *commands: Command) -> Accepted:
        """Send commands in one commit, and return the outcome of the last."""
        outcome = await self._handle(*commands)
        match outcome:
            case Accepted():
                return outcome
            case Refused(code=RefusalCode.INVALID_INPUT, message=message):
                raise ValueError(message)
            case Refused(code=RefusalCode.KEY_REUSED, message=message):
                raise DuplicateNameError(message)
            case Refused(code=RefusalCode.VERSION_CONFLICT | RefusalCode.NOT_FOUND, message=said):
                raise KeyChangedError(said)
            case Refused(code=RefusalCode.FORBIDDEN, message=message):
                raise PermissionError(message)
            case Refused(message=message):
                raise UnavailableError(message)
            case _:
                raise outcome

    async def _handle(self, *commands: Command) -> Outcome:
        assert self._writer is not None, "these keys can only be read"
        requests = [Request(command=command, command_id=uuid4()) for command in commands]
        return (await self._writer.handle(requests, chained=True))[-1]

    async def _rows(
        self, statement: LiteralString, params: tuple[Any, ...] | dict[str, Any]
    ) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, params)
            return await cursor.fetchall()


def token_hash(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _new_token() -> str:
    return PREFIX + secrets.token_urlsafe(32)


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
        last_used_at=utc(row["last_used_at"]),
        generation=row["generation"],
        rotated_at=utc(row["rotated_at"]),
        previous_until=utc(row["previous_until"]),
        token_hash=bytes(row["token_hash"]),
        previous_hash=None if row["previous_hash"] is None else bytes(row["previous_hash"]),
        created_by=row["created_by"],
        rotated_by=row["rotated_by"],
        revoked_by=row["revoked_by"],
    )
