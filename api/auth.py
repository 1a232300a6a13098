"""Authentication by bearer tokens: API keys, those of OpenID Connect, and of development mode."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import msgspec
import psycopg
import structlog

from api.identity.identities import Identities
from application.api_keys import ApiKeys
from application.background_tasks import stop
from application.directory import Directory
from application.sign_ins import SignIns
from domain.names import folded
from domain.values import Principal

_log = structlog.get_logger(__name__)

MAX_REMEMBERED = 10_000
MAX_TOKEN = 1_000
IN_USE_SECONDS = 600.0
NOTE_SECONDS = 60.0
"""How often the use of a token is noted at most."""
MAX_REFRESHED = 1_000
NOBODY: Mapping[str, Principal] = MappingProxyType({})


class _Known(msgspec.Struct):
    """The owner of a token, None if it is not valid.

    ``until``: when the entry expires. ``used``: when the token was last used. ``noted``: when its
    use was last noted in the database. All times are the event loop's.
    """

    principal: Principal | None
    until: float
    used: float
    noted: float = -math.inf


class Authenticator:
    """Finds the principal of a token.

    A result is cached for ``remember`` seconds, so a revoked key may work for that long. Tokens
    that were used in the last ten minutes are looked up again before they expire from the cache,
    all in one query, so that requests do not wait for it. Tokens are looked up by their hashes and
    never compared byte by byte, so the time of a look-up reveals nothing about a token.
    ``read_again`` says whether to try a look-up once more that failed with an error.
    ``identities`` knows the tokens of OpenID Connect providers. ``directory`` knows who was
    deactivated: no token of theirs is valid. ``sign_ins`` is told who uses a token.
    """

    def __init__(
        self,
        keys: ApiKeys,
        development: Mapping[str, Principal] = NOBODY,
        *,
        remember: float = 1.0,
        read_again: Callable[[BaseException], Awaitable[bool]] | None = None,
        identities: Identities | None = None,
        directory: Directory | None = None,
        sign_ins: SignIns | None = None,
    ) -> None:
        self._keys = keys
        self._development = development
        self._remember = remember
        self._read_again = read_again
        self._identities = identities
        self._directory = directory
        self._deactivated: frozenset[str] | None = frozenset() if directory is None else None
        self._sign_ins = sign_ins
        self._used = -math.inf
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

        It is also None if the person was deactivated. Raises psycopg errors if the database can't
        be reached, and ApiError with UNAVAILABLE if the keys of the token's issuer can't be.
        """
        if not token:
            return None
        principal = await self._principal(token)
        if principal is None:
            return None
        self._used = asyncio.get_running_loop().time()
        if self._deactivated is None:
            await self._read_deactivated()
        if self._deactivated and folded(principal.id) in self._deactivated:
            return None
        if self._sign_ins is not None:
            told = self._identities is not None and self._identities.may_be(token)
            self._sign_ins.saw(principal, told=told)
        return principal

    async def _principal(self, token: str) -> Principal | None:
        if self._identities is not None and self._identities.may_be(token):
            return await self._identities.principal(token)
        if len(token) > MAX_TOKEN:
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
        before = self._known.get(token)
        noted = -math.inf if before is None else before.noted
        self._known[token] = _Known(principal, now + self._remember, now, noted)
        self._known.move_to_end(token)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return principal

    async def _read_deactivated(self) -> None:
        if self._directory is None:
            return
        if self._used < asyncio.get_running_loop().time() - IN_USE_SECONDS:
            # Nobody comes, so nothing is asked. Whoever comes next asks first.
            self._deactivated = None
            return
        self._deactivated = await self._directory.deactivated()

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._remember / 2)
            try:
                await self._read_deactivated()
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
        await self._note_use(now)

    async def _note_use(self, now: float) -> None:
        """Note in the database which keys were used, for those who look after them."""
        due = [
            known
            for known in self._known.values()
            if known.principal is not None
            and known.used > known.noted
            and now - known.noted >= NOTE_SECONDS
        ]
        if not due:
            return
        await self._keys.note_use({known.principal.name for known in due if known.principal})
        for known in due:
            known.noted = now
