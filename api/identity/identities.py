"""The principals of OpenID Connect tokens, remembered as long as each token is valid."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import httpx
import msgspec
import structlog
from psycopg_pool import AsyncConnectionPool

from api.errors import unavailable
from api.identity.issuers import Issuer
from api.identity.people import claimed_id, principal_of
from api.identity.provider import TIMEOUT, Provider, ProviderAwayError
from api.identity.subjects import Subjects
from api.identity.tokens import Checked, TokenRefusedError, check
from domain.values import Principal

_log = structlog.get_logger(__name__)

MAX_REMEMBERED = 10_000
MAX_LOGGED = 100


class _Log:
    """Says why tokens are refused, at most 100 times a second: everybody can send such tokens."""

    def __init__(self) -> None:
        self._second = 0
        self._said = 0
        self._unsaid = 0

    def refused(self, reason: str) -> None:
        """Log the reason, with how many before it were not logged."""
        second = int(time.time())
        if second != self._second:
            self._second, self._said = second, 0
        if self._said >= MAX_LOGGED:
            self._unsaid += 1
            return
        self._said += 1
        _log.info(
            "token_refused", reason=reason, **({"unsaid": self._unsaid} if self._unsaid else {})
        )
        self._unsaid = 0


class _Known(msgspec.Struct, frozen=True):
    """The principal of a token until its end, in seconds since 1970, as long as no key is gone."""

    principal: Principal
    until: float
    provider: Provider
    revision: int


class Identities:
    """Finds the principals of tokens that the configured issuers signed.

    A token is checked once, and then known until it ends or its issuer takes back a key.
    """

    def __init__(self, issuers: Sequence[Issuer], pool: AsyncConnectionPool) -> None:
        self.issuers = issuers
        # Without issuers there is nothing to read, and a client takes a while to make.
        self.http = httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) if issuers else None
        self.providers: Mapping[str, Provider] = (
            {} if self.http is None else {one.issuer: Provider(one, self.http) for one in issuers}
        )
        self._subjects = Subjects(pool)
        self._refusals = _Log()
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Principal | None]] = {}

    async def start(self) -> None:
        """Start to read what the providers publish, in the background."""
        for provider in self.providers.values():
            await provider.start()

    async def close(self) -> None:
        """Stop it."""
        for provider in self.providers.values():
            await provider.close()
        if self.http is not None:
            await self.http.aclose()

    @staticmethod
    def may_be(token: str) -> bool:
        """Whether a token has the form of those that issuers sign. API keys have another one."""
        return token.count(".") == 2  # noqa: PLR2004 - RFC 7515, section 3.1

    async def principal(self, token: str) -> Principal | None:
        """Return the principal of a token, None if it is not valid. The log says why.

        Raises ApiError with UNAVAILABLE if that can't be told because its issuer can't be reached,
        and psycopg errors if the database can't be.
        """
        if not self.providers:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None:
            if known.until > time.time() and known.revision == known.provider.revision:
                self._known.move_to_end(digest)
                return known.principal
            del self._known[digest]
        # If many requests with one token come at once, it is checked once.
        asking = self._asking.get(digest)
        if asking is None:
            asking = self._asking[digest] = asyncio.create_task(self._ask(token, digest))
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        return await asyncio.shield(asking)

    async def _ask(self, token: str, digest: bytes) -> Principal | None:
        revisions = {name: one.revision for name, one in self.providers.items()}
        try:
            checked = await check(token, self.providers)
            principal = await self.person(checked)
        except TokenRefusedError as error:
            self._refusals.refused(str(error))
            return None
        except ProviderAwayError as error:
            _log.warning("token_not_checked", reason=str(error))
            raise unavailable("the token can't be checked now; try again later") from error
        issuer = checked.issuer.issuer
        self._known[digest] = _Known(
            principal, checked.until, self.providers[issuer], revisions[issuer]
        )
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return principal

    async def person(self, checked: Checked) -> Principal:
        """Return whose a checked token is. Raises TokenRefusedError."""
        id_, settled = claimed_id(checked, self.issuers)
        if not settled:
            kept = await self._subjects.settle(checked.issuer.issuer, checked.subject, id_)
            if kept is None:
                raise TokenRefusedError(
                    f"the id {id_!r} belongs to another subject of {checked.issuer.alias!r}"
                )
            id_ = kept
        return principal_of(checked, id_)
