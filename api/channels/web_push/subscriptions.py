"""The browsers in which people are told, and the key that they know this service by."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import LiteralString, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric import ec
from psycopg_pool import AsyncConnectionPool

from api.channels.web_push.targets import PushTargets
from application.one_at_a_time import one_at_a_time
from domain.names import normal

MOST = 10
"""So many browsers a person can have."""
MAX_USER_AGENT = 300
_POINT, _AUTH = 65, 16

_SECRET: LiteralString = "SELECT value FROM server_secrets WHERE name = 'web_push'"  # noqa: S105 - a statement
_OF: LiteralString = """
    SELECT id, endpoint, p256dh, auth, user_agent, created_at FROM push_subscriptions
    WHERE person = %s ORDER BY created_at, id
"""
_PEOPLE: LiteralString = "SELECT DISTINCT person FROM push_subscriptions WHERE person = ANY (%s)"
_ADD: LiteralString = """
    INSERT INTO push_subscriptions (id, person, endpoint, p256dh, auth, user_agent)
    SELECT %(id)s, %(person)s, %(endpoint)s, %(p256dh)s, %(auth)s, %(user_agent)s
    WHERE (
        SELECT count(*) FROM push_subscriptions WHERE person = %(person)s AND id <> %(id)s
    ) < %(most)s
    ON CONFLICT (id) DO UPDATE SET
        person = EXCLUDED.person, p256dh = EXCLUDED.p256dh, auth = EXCLUDED.auth,
        user_agent = EXCLUDED.user_agent, created_at = clock_timestamp()
"""
_REMOVE: LiteralString = "DELETE FROM push_subscriptions WHERE person = %s AND id = %s"
# A browser that subscribed anew meanwhile has other keys.
_DROP: LiteralString = "DELETE FROM push_subscriptions WHERE id = %s AND p256dh = %s"


class BrowserKeys(NamedTuple):
    """What a browser gives: where its messages go, and with what they are encrypted (RFC 8291).

    ``p256dh`` is a point of the curve P-256, uncompressed; ``auth`` has 16 bytes.
    """

    endpoint: str
    p256dh: bytes
    auth: bytes

    @classmethod
    def parse(cls, endpoint: str, p256dh: str, auth: str) -> Self:
        """Read it as JavaScript gives it, the keys as base64url.

        Raises ValueError for what no browser gives, and for an endpoint that is not allowed.
        """
        if problem := PushTargets().url_problem(endpoint):
            raise ValueError(problem)
        point, secret = _bytes("p256dh", p256dh, _POINT), _bytes("auth", auth, _AUTH)
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:
            raise ValueError("p256dh is no point of the curve P-256") from None
        return cls(endpoint, point, secret)


class PushSubscription(NamedTuple):
    """A browser that a person allows messages in."""

    id: str
    keys: BrowserKeys
    user_agent: str
    created_at: datetime


class PushSubscriptions:
    """The subscriptions of all people. Raises psycopg errors or PoolTimeout."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def secret(self) -> bytes:
        """Return the secret from which the key of this service follows."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_SECRET)).fetchone()
        if row is None:
            msg = "server_secrets has no row web_push; run `placet-server migrate`"
            raise RuntimeError(msg)
        return bytes(row[0])

    async def of(self, person: str) -> list[PushSubscription]:
        """Return the browsers of a person, the oldest first."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_OF, [normal(person)])
            rows = await cursor.fetchall()
        return [
            PushSubscription(id_, BrowserKeys(endpoint, p256dh, auth), user_agent, created_at)
            for id_, endpoint, p256dh, auth, user_agent, created_at in rows
        ]

    async def people(self, ids: Iterable[str]) -> frozenset[str]:
        """Return which of these people have a browser, by their ids in normal form."""
        wanted = sorted({normal(id_) for id_ in ids})
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_PEOPLE, [wanted], prepare=True)
            return frozenset(person for (person,) in await cursor.fetchall())

    async def add(self, person: str, keys: BrowserKeys, user_agent: str) -> bool:
        """Add a browser, or take it over from who used it before. False if the person has 10."""
        person = normal(person)
        values = {
            "id": subscription_id(keys.endpoint),
            "person": person,
            "endpoint": keys.endpoint,
            "p256dh": keys.p256dh,
            "auth": keys.auth,
            "user_agent": user_agent[:MAX_USER_AGENT],
            "most": MOST,
        }
        async with one_at_a_time(self._pool, f"push_subscriptions/{person}") as connection:
            return (await connection.execute(_ADD, values)).rowcount > 0

    async def remove(self, person: str, id_: str) -> bool:
        """Remove a browser of a person. False if the person has no such browser."""
        async with self._pool.connection() as connection:
            return (await connection.execute(_REMOVE, [normal(person), id_])).rowcount > 0

    async def drop(self, gone: PushSubscription) -> None:
        """Remove a browser whose push service knows it no more."""
        async with self._pool.connection() as connection:
            await connection.execute(_DROP, [gone.id, gone.keys.p256dh])


def subscription_id(endpoint: str) -> str:
    """Return the id of a browser, which its own scripts can compute too."""
    return hashlib.sha256(endpoint.encode()).hexdigest()


def _bytes(name: str, text: str, length: int) -> bytes:
    try:
        found = base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != length:
        raise ValueError(f"{name} must have {length} bytes in base64url")
    return found
