"""The token of a client: a string, or what a function gives each time a new one is needed."""

import asyncio
import inspect
import logging
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from time import monotonic, time

import msgspec

from placet.errors import Unauthenticated, Unavailable

log = logging.getLogger("placet")

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that gives one: sync, which is called in a thread, or async."""

MARGIN_SECONDS = 30.0
"""How long before its end a token is replaced, or a fifth of the time left if that is less."""
PAUSE_SECONDS = 5.0
"""Between two attempts to replace a token that is still valid."""


class TokenSource:
    """Gives the token, and replaces one that was refused or is about to end.

    However many callers need another token, the function is called once. The end of a token is
    known if it is a JWT with ``exp``. It is read and not verified: that is for the service.
    """

    def __init__(self, token: Token) -> None:
        self._ask = None if isinstance(token, str) else token
        self._token = token.strip() if isinstance(token, str) else None
        # When to replace it, by the monotonic clock.
        self._due: float | None = None
        self._asking: asyncio.Task[str] | None = None

    @property
    def fixed(self) -> bool:
        """Whether there will never be another token."""
        return self._ask is None

    async def current(self) -> str:
        """Return the token.

        While there is none yet, it raises Unavailable if the function fails, and Unauthenticated if
        it gives no token.
        """
        token = self._token
        if token is None:
            return await self._asked()
        if self._due is not None and monotonic() >= self._due:
            # Nobody has to wait for it: the old token is still good.
            self._due = monotonic() + PAUSE_SECONDS
            self._begin().add_done_callback(_tell)
        return token

    async def replace(self, refused: str, error: Unauthenticated) -> None:
        """Get another token than one that the service refused by ``error``.

        Raises Unauthenticated if there is no other, and Unavailable if the function failed.
        """
        if self._ask is not None and self._token == refused:
            await self._asked()
        if self._token == refused:
            raise Unauthenticated(f"{error}; {self._advice}") from error

    @property
    def _advice(self) -> str:
        if self._ask is None:
            return "pass a valid token; token= also takes a function, which is asked for a new one"
        return "the function that token= was given gave no other"

    async def _asked(self) -> str:
        # A caller that is cancelled must not cancel what others wait for.
        return await asyncio.shield(self._begin())

    def _begin(self) -> "asyncio.Task[str]":
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._renew(), name="placet-token")
        return self._asking

    async def _renew(self) -> str:
        ask = self._ask
        assert ask is not None
        try:
            given = await _called(ask)
        except Exception as error:
            msg = f"the function that token= was given failed: {type(error).__name__}: {error}"
            raise Unavailable(msg) from error
        token = given.strip() if isinstance(given, str) else ""
        if not token:
            msg = f"the function that token= was given must give a token, not {given!r}"
            raise Unauthenticated(msg)
        if token != self._token:
            left = seconds_left(token)
            self._due = None
            # The clock of this machine may be wrong, so a token that is over by it is tried too.
            if left is not None and left > 0:
                self._due = monotonic() + left - min(MARGIN_SECONDS, left / 5)
        self._token = token
        return token


async def _called(ask: Callable[[], str | Awaitable[str]]) -> object:
    if inspect.iscoroutinefunction(ask):
        return await ask()
    given = await asyncio.to_thread(ask)
    return await given if inspect.isawaitable(given) else given


def _tell(asking: "asyncio.Task[str]") -> None:
    if not asking.cancelled() and (error := asking.exception()) is not None:
        log.warning("the token is about to end and could not be replaced yet: %s", error)


class _Claims(msgspec.Struct, frozen=True):
    exp: float | None = None


def seconds_left(token: str) -> float | None:
    """Return for how many seconds a token is valid, None if it does not say."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - the parts of a JWT: header, claims, signature
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        end = msgspec.json.decode(urlsafe_b64decode(padded), type=_Claims).exp
    except (ValueError, msgspec.MsgspecError):
        return None
    return None if end is None else end - time()
