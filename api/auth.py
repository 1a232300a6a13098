"""Authentication by bearer tokens: API keys, and the tokens of development mode."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import msgspec
import psycopg
import structlog

from application.api_keys import ApiKeys
from application.background_tasks import stop
from domain.values import Principal

_log = structlog.get_logger(__name__)

MAX_REMEMBERED = 10_000
MAX_TOKEN = 1_000
IN_USE_SECONDS = 600.0
MAX_REFRESHED = 1_000
NOBODY: Mapping[str, Principal] = MappingProxyType({})


class _Known(msgspec.Struct):
    """The owner of a token, None if it is not valid.

    ``until``: when the entry expires. ``used``: when the token was last used. Both times are the
    event loop's.
    """

    principal: Principal | None
    until: float
    used: float


class Authenticator:
    """Finds the principal of a token.

    A result is cached for ``remember`` seconds, so a revoked key may work for that long. Tokens
    that were used in the last ten minutes are looked up again before they expire from the cache,
    all in one query, so that requests do not wait for it. Tokens are looked up by their hashes and
    never compared byte by byte, so the time of a look-up reveals nothing about a token.
    ``read_again`` says whether to try a look-up once more that failed with an error.
    """

    def __init__(
        self,
        keys: ApiKeys,
        development: Mapping[str, Principal] = NOBODY,
        *,
        remember: float = 1.0,
        read_again: Callable[[BaseException], Awaitable[bool]] | None = None,
    ) -> None:
        self._keys = keys
        self._development = development
        self._remember = remember
        self._read_again = read_again
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Principal | None]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the background task that looks up the tokens in use."""
        self._tasks = [asyncio.create_task(self._refresh_for_ever(), name="placet-tokens")]

    async def close(self) -> None:
        """Stop it."""
        await stop(self._tasks)

    async def authenticate(self, token: str | None) -> Principal | None:
        """Return the principal; None if the token is missing, unknown, expired or revoked.

        Raises psycopg errors if the database can't be reached.
        """
        if not token or len(token) > MAX_TOKEN:
            return None
        principal = self._development.get(token)
        if principal is not None:
            return principal
        now = asyncio.get_running_loop().time()
        known = self._known.get(token)
        if known is not None and known.until > now:
            known.used = now
            self._known.move_to_end(token)
            return known.principal
        # If many requests with one token come at once, only one of them queries the database.
        asking = self._asking.get(token)
        if asking is None:
            asking = self._asking[token] = asyncio.create_task(self._ask(token))
            asking.add_done_callback(lambda _: self._asking.pop(token, None))
        return await asyncio.shield(asking)

    async def _ask(self, token: str) -> Principal | None:
        now = asyncio.get_running_loop().time()
        try:
            principal = await self._keys.find(token)
        except psycopg.Error as error:
            if self._read_again is None or not await self._read_again(error):
                raise
            principal = await self._keys.find(token)
        self._known[token] = _Known(principal, now + self._remember, now)
        self._known.move_to_end(token)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return principal

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._remember / 2)
            try:
                await self._refresh()
            except psycopg.Error:
                # The next request looks its token up itself, and gets this error.
                continue
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("tokens_not_refreshed")

    async def _refresh(self) -> None:
        now = asyncio.get_running_loop().time()
        in_use = {
            token: known
            for token, known in self._known.items()
            if known.principal is not None and known.used > now - IN_USE_SECONDS
        }
        if not in_use:
            return
        # The most recently used tokens are last.
        tokens = list(in_use)[-MAX_REFRESHED:]
        found = await self._keys.find_all(tokens)
        for token in tokens:
            in_use[token].principal = found.get(token)
            in_use[token].until = now + self._remember
