"""Who is calling: bearer tokens, of API keys or of development mode."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from application.api_keys import ApiKeys
from domain.values import Principal

MAX_REMEMBERED = 10_000
MAX_TOKEN = 1_000
NOBODY: Mapping[str, Principal] = MappingProxyType({})


class _Known(NamedTuple):
    principal: Principal | None
    until: float


class Authenticator:
    """Turns tokens into principals.

    What was looked up is remembered for ``remember`` seconds, so that the hot path asks nobody;
    that is also how long a revoked key may still work. Tokens are found by hash or by the hash of
    a dict, never compared byte by byte, so the time taken tells nothing about any token.
    """

    def __init__(
        self,
        keys: ApiKeys,
        development: Mapping[str, Principal] = NOBODY,
        *,
        remember: float = 1.0,
    ) -> None:
        self._keys = keys
        self._development = development
        self._remember = remember
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Principal | None]] = {}

    async def authenticate(self, token: str | None) -> Principal | None:
        """Give who calls with this token; None if it is missing, unknown, expired or revoked.

        Raises psycopg errors if the database is away.
        """
        if not token or len(token) > MAX_TOKEN:
            return None
        principal = self._development.get(token)
        if principal is not None:
            return principal
        known = self._known.get(token)
        if known is not None and known.until > asyncio.get_running_loop().time():
            return known.principal
        # Many requests with one token come at once: one of them asks, for all.
        asking = self._asking.get(token)
        if asking is None:
            asking = self._asking[token] = asyncio.create_task(self._ask(token))
            asking.add_done_callback(lambda _: self._asking.pop(token, None))
        return await asyncio.shield(asking)

    async def _ask(self, token: str) -> Principal | None:
        principal = await self._keys.find(token)
        until = asyncio.get_running_loop().time() + self._remember
        self._known[token] = _Known(principal, until)
        self._known.move_to_end(token)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return principal


def bearer(header: str | None) -> str | None:
    """Give the token of an Authorization header (RFC 6750, section 2.1), None if there is none."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
