"""Sessions: who is signed in to the console, kept in the database.

A session begins with an API key, as one of the made-up people, or by a sign-in at a provider. In
the last case it has what the provider said then, for as long as the provider is configured.

A session ends at a fixed time after it began (``lifetime``), after a time without a request
(``idle``), when the person signs out or is deactivated, and when the API key that it began with is
revoked or expires, or its secret is replaced.
A stream of events is no request: it ends with its session.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, LiteralString

import msgspec
import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from application.background_tasks import stop
from application.substitutes import Substitutes
from domain.names import folded
from domain.values import Principal, Role

_log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0
MAX_TOKEN = 100

# By the database's clock, so that all servers end a session at the same moment.
_FIND = """
    SELECT s.token_hash, s.person, s.identity, s.draft, s.ends_at,
        k.name, k.owner, k.roles, k.groups, k.queues
    FROM console_sessions AS s
    LEFT JOIN api_keys AS k ON k.name = s.api_key AND k.revoked_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
        AND (s.key_hash IS NULL OR s.key_hash = k.token_hash
            OR (s.key_hash = k.previous_hash AND k.previous_until > clock_timestamp()))
    WHERE s.token_hash = ANY(%(hashes)s) AND s.ends_at > clock_timestamp()
        AND s.seen_at > clock_timestamp() - make_interval(secs => %(idle)s)
        AND NOT EXISTS (
            SELECT FROM people WHERE NOT active
            AND id = coalesce(k.owner, s.person, s.identity -> 'principal' ->> 'id')
        )
"""
# At most once a minute, because a page is read more often than it is worth a write.
_TOUCH = """
    WITH touched AS (
        UPDATE console_sessions SET seen_at = clock_timestamp()
        WHERE token_hash = %(hash)s AND seen_at < clock_timestamp() - interval '1 minute'
        RETURNING api_key
    )
    UPDATE api_keys SET last_used_at = clock_timestamp() FROM touched WHERE name = api_key
"""
_BEGIN = """
    INSERT INTO console_sessions
        (token_hash, api_key, key_hash, person, identity, draft, ends_at)
    VALUES (%(hash)s, %(api_key)s, %(key_hash)s, %(person)s, %(identity)s, %(draft)s,
        clock_timestamp() + make_interval(secs => %(lifetime)s))
"""
_FORGET = """
    DELETE FROM console_sessions
    WHERE token_hash = %(hash)s OR ends_at <= clock_timestamp()
        OR seen_at <= clock_timestamp() - make_interval(secs => %(idle)s)
"""
_DROP_DRAFT = "UPDATE console_sessions SET draft = NULL WHERE token_hash = %(hash)s"


class Draft(msgspec.Struct, frozen=True):
    """A comment that was typed on the page ``path`` and could not be sent.

    ``fields`` are all fields of its form, if they were kept.
    """

    path: str
    comment: str = ""
    fields: tuple[tuple[str, str], ...] = ()


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in at the provider ``issuer``, and what it said of them."""

    issuer: str
    principal: Principal


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session with what its person may do now. ``issuer`` is the provider of the sign-in."""

    token_hash: bytes
    principal: Principal
    ends_at: datetime
    draft: Draft | None = None
    issuer: str | None = None


class FollowedSession:
    """A session that a stream belongs to. ``ended`` is set once the session is over."""

    def __init__(self, session: Session) -> None:
        self.principal: Principal | None = session.principal
        self.token_hash = session.token_hash
        self.ended = asyncio.Event()

    def end(self) -> None:
        """The session is over, or the server ends."""
        self.principal = None
        self.ended.set()


class Sessions:
    """The sessions of one database. Raises psycopg errors if it is unavailable.

    ``development`` has the made-up people by their ids; it is empty in production. ``lifetime`` and
    ``idle`` are in seconds. ``trusts`` says whether people can still sign in at an issuer.
    ``substitutes`` knows whose substitutes the people are. ``deactivated`` has the folded ids of
    people who have no session, in any spelling.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        development: Mapping[str, Principal],
        *,
        lifetime: float,
        idle: float,
        trusts: Callable[[str], bool] = lambda _issuer: False,
        substitutes: Substitutes | None = None,
        deactivated: Callable[[], Awaitable[frozenset[str]]] | None = None,
    ) -> None:
        self._pool = pool
        self._development = development
        self._lifetime = lifetime
        self._idle = idle
        self._trusts = trusts
        self._substitutes = substitutes
        self._deactivated = deactivated
        self._followed: dict[bytes, set[FollowedSession]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the background task that ends the streams of sessions that are over."""
        self._tasks = [asyncio.create_task(self._check_for_ever(), name="placet-sessions")]

    async def close(self) -> None:
        """End all streams and stop."""
        self.end_streams()
        await stop(self._tasks)

    def end_streams(self) -> None:
        """End the streams of all sessions, because the server ends."""
        for streams in self._followed.values():
            for followed in streams:
                followed.end()

    async def begin(
        self,
        *,
        api_key: str | None = None,
        key_hash: bytes | None = None,
        person: str | None = None,
        identity: Identity | None = None,
        draft: Draft | None = None,
    ) -> str:
        """Begin a session with one of an API key, a made-up person and an identity.

        Returns its token.

        ``key_hash`` is that of the key's secret: the session ends with it.
        """
        token = secrets.token_urlsafe(32)
        kept = None if draft is None else Jsonb(msgspec.to_builtins(draft))
        await self._execute(
            _BEGIN,
            hash=_hash(token),
            api_key=api_key,
            key_hash=key_hash,
            person=person,
            identity=None if identity is None else Jsonb(msgspec.to_builtins(identity)),
            draft=kept,
            lifetime=self._lifetime,
        )
        return token

    async def find(self, token: str | None) -> Session | None:
        """Return the session of a token, None if it is over, and keep it from getting idle."""
        if not token or len(token) > MAX_TOKEN:
            return None
        hash_ = _hash(token)
        session = (await self._find([hash_])).get(hash_)
        if session is not None:
            await self._execute(_TOUCH, hash=hash_)
        return session

    async def end(self, session: Session) -> None:
        """Sign out: delete the session, with all others that are over, and end its streams."""
        for followed in self._followed.get(session.token_hash, ()):
            followed.end()
        await self._execute(_FORGET, hash=session.token_hash, idle=self._idle)

    async def drop_draft(self, session: Session) -> None:
        """Forget the draft of a session."""
        if session.draft is not None:
            await self._execute(_DROP_DRAFT, hash=session.token_hash)

    @contextmanager
    def follow(self, session: Session) -> Iterator[FollowedSession]:
        """Watch a session as long as a stream of it is open."""
        followed = FollowedSession(session)
        streams = self._followed.setdefault(session.token_hash, set())
        streams.add(followed)
        try:
            yield followed
        finally:
            streams.discard(followed)
            if not streams and self._followed.get(session.token_hash) is streams:
                del self._followed[session.token_hash]

    async def _check_for_ever(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self._check()
            except psycopg.Error:
                # The next check follows. Until then the streams go on with what is known.
                continue
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("sessions_not_checked")

    async def _check(self) -> None:
        if not self._followed:
            return
        found = await self._find(list(self._followed))
        for token_hash, streams in list(self._followed.items()):
            session = found.get(token_hash)
            for followed in list(streams):
                if session is None:
                    followed.end()
                else:
                    followed.principal = session.principal

    async def _find(self, hashes: list[bytes]) -> dict[bytes, Session]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(_FIND, {"hashes": hashes, "idle": self._idle})
            rows = await cursor.fetchall()
        found = {}
        barred = await self._deactivated() if rows and self._deactivated else frozenset()
        for row in rows:
            principal = self._principal(row)
            if principal is not None and not (barred and folded(principal.id) in barred):
                if self._substitutes is not None:
                    principal = await self._substitutes.of(principal)
                session = Session(
                    token_hash=bytes(row["token_hash"]),
                    principal=principal,
                    ends_at=row["ends_at"].astimezone(UTC),
                    draft=msgspec.convert(row["draft"], Draft | None),
                    issuer=None if row["identity"] is None else row["identity"]["issuer"],
                )
                found[session.token_hash] = session
        return found

    def _principal(self, row: dict[str, Any]) -> Principal | None:
        if row["person"] is not None:
            return self._development.get(row["person"])
        if row["identity"] is not None:
            identity = msgspec.convert(row["identity"], Identity)
            return identity.principal if self._trusts(identity.issuer) else None
        if row["name"] is None:
            return None
        return Principal(
            id=row["owner"],
            name=row["name"],
            roles=frozenset(map(Role, row["roles"])),
            groups=frozenset(row["groups"]),
            queues=None if row["queues"] is None else frozenset(row["queues"]),
        )

    async def _execute(self, statement: LiteralString, **params: Any) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(statement, params)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
