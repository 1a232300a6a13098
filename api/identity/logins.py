"""Signing in at a provider: OpenID Connect's authorization code flow with PKCE.

OpenID Connect Core 1.0, section 3.1, RFC 7636, and the advice of RFC 9700. A sign-in belongs to the
browser that began it: ``state``, ``nonce`` and the verifier of PKCE follow from a secret in its
cookie, so a code that comes from elsewhere is worth nothing. Each provider has a callback address
of its own, so an answer can't be taken for that of another (RFC 9700, section 4.4).
"""

import asyncio
import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from api.identity.identities import Identities
from api.identity.issuers import Issuer, SignIn
from api.identity.provider import TIMEOUT, WITHIN, Metadata, Provider, ProviderAwayError
from api.identity.tokens import Checked, TokenRefusedError, check_for
from domain.values import Principal

_log = structlog.get_logger(__name__)

LIFETIME = 600
"""Seconds that somebody has to sign in at the provider."""
MAX_SECRET = 100
MAX_WAITING = 20_000
"""Sign-ins that can be under way at once. The oldest are dropped."""

_BEGIN = """
    WITH gone AS (
        DELETE FROM console_logins
        WHERE begun_at < clock_timestamp() - make_interval(secs => %(age)s) OR begun_at < (
            SELECT begun_at FROM console_logins ORDER BY begun_at DESC OFFSET %(most)s LIMIT 1
        )
    )
    INSERT INTO console_logins (state_hash, browser_hash, issuer, goal, person, draft)
    VALUES (%(state)s, %(browser)s, %(issuer)s, %(goal)s, %(person)s, %(draft)s)
"""
_FINISH = """
    DELETE FROM console_logins WHERE state_hash = %(state)s AND browser_hash = %(browser)s
    RETURNING issuer, goal, person, draft,
        begun_at >= clock_timestamp() - make_interval(secs => %(age)s) AS in_time
"""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the provider.

    ``goal`` is the address to come back to. ``person`` is who is signed in already, for a step-up;
    ``draft`` is what they had typed, as JSON.
    """

    issuer: Issuer
    goal: str
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    person: str | None = None
    draft: Any = None


class Departure(msgspec.Struct, frozen=True):
    """Where the browser has to go, and the secret that it has to keep meanwhile."""

    address: str
    secret: str


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Who has signed in. ``draft`` is what the same person had typed."""

    issuer: Issuer
    principal: Principal
    goal: str
    draft: Any = None


class LoginError(Exception):
    """Nobody has signed in. ``reason`` is what the provider said, "" if it is something else."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class Logins:
    """The sign-ins of one database. Raises psycopg errors if it is unavailable."""

    def __init__(self, identities: Identities, pool: AsyncConnectionPool) -> None:
        self._identities = identities
        self._pool = pool

    @property
    def offered(self) -> list[Issuer]:
        """The issuers at which people can sign in, in the order of the file."""
        return [one for one in self._identities.issuers if one.sign_in is not None]

    def offers(self, alias: str | None) -> Issuer | None:
        """Return the issuer with this alias, None if nobody can sign in there."""
        return next((one for one in self.offered if one.alias == alias), None)

    def knows(self, issuer: str) -> bool:
        """Whether an issuer is still one at which people can sign in."""
        return any(one.issuer == issuer for one in self.offered)

    async def begin(self, login: Login, back: str, secret: str | None) -> Departure:
        """Begin a sign-in. ``back`` is the callback, ``secret`` what the browser has from before.

        Raises ProviderAwayError.
        """
        provider = self._provider(login.issuer)
        metadata = await provider.metadata()
        sign_in = _sign_in(login.issuer)
        if metadata.authorization_endpoint is None or metadata.token_endpoint is None:
            raise ProviderAwayError("the provider names no addresses to sign in at")
        if secret is None or not 0 < len(secret) <= MAX_SECRET:
            secret = secrets.token_urlsafe(32)
        state = secrets.token_urlsafe(32)
        asked: dict[str, str] = {"nonce": _derived(secret, state, "nonce")}
        acr_values = login.acr_values or tuple(sign_in.acr_values)
        max_age = sign_in.max_age if login.max_age is None else login.max_age
        if acr_values:
            asked["acr_values"] = " ".join(acr_values)
        if max_age is not None:
            asked["max_age"] = str(max_age)
        async with self._client(login.issuer, metadata, back) as client:
            address, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=state,
                code_verifier=_derived(secret, state, "verifier"),
                **asked,
            )
        given = {
            "state": _hash(state),
            "browser": _hash(secret),
            "issuer": login.issuer.issuer,
            "goal": login.goal,
            "person": login.person,
            "draft": None if login.draft is None else Jsonb(login.draft),
            "age": LIFETIME,
            "most": MAX_WAITING,
        }
        async with self._pool.connection() as connection:
            await connection.execute(_BEGIN, given)
        return Departure(str(address), secret)

    async def finish(
        self, alias: str, answer: Mapping[str, str], back: str, secret: str | None
    ) -> Arrival:
        """End a sign-in with the parameters of the callback.

        Raises LoginError and ProviderAwayError.
        """
        state, issuer = answer.get("state", ""), self.offers(alias)
        if issuer is None or not secret or not state or max(len(state), len(secret)) > MAX_SECRET:
            raise LoginError("no sign-in was begun in this browser")
        found = await self._taken(state, secret)
        if found is None or found["issuer"] != issuer.issuer or not found["in_time"]:
            raise LoginError("no sign-in was begun in this browser")
        # RFC 9207. The address of the callback tells providers apart that do not name themselves.
        if answer.get("iss", issuer.issuer) != issuer.issuer:
            raise LoginError("the answer is of another provider")
        if "error" in answer:
            raise LoginError("the provider has refused", answer["error"])
        checked = await self._identified(issuer, answer.get("code", ""), back, state, secret)
        try:
            principal = await self._identities.person(checked)
        except TokenRefusedError as error:
            raise LoginError(str(error)) from error
        # Who signs in as somebody else finds nothing of what the person before had typed.
        own = found["person"] in {None, principal.id}
        return Arrival(
            issuer=issuer,
            principal=principal,
            goal=found["goal"],
            draft=found["draft"] if own else None,
        )

    async def end_address(self, issuer: str, back: str) -> str | None:
        """Return where the session at the provider is ended; None if it offers no such address.

        OpenID Connect RP-Initiated Logout 1.0, without the ID token, which is not kept.
        """
        found = next((one for one in self.offered if one.issuer == issuer), None)
        if found is None:
            return None
        try:
            address = (await self._provider(found).metadata()).end_session_endpoint
        except ProviderAwayError:
            return None
        if address is None:
            return None
        query = {"client_id": _sign_in(found).client_id, "post_logout_redirect_uri": back}
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"

    async def _taken(self, state: str, secret: str) -> dict[str, Any] | None:
        given = {"state": _hash(state), "browser": _hash(secret), "age": LIFETIME}
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(_FINISH, given)
            return await cursor.fetchone()

    async def _identified(
        self, issuer: Issuer, code: str, back: str, state: str, secret: str
    ) -> Checked:
        """Exchange the code for an ID token, and check it (section 3.1.3.7 of the Core)."""
        metadata, sign_in = await self._provider(issuer).metadata(), _sign_in(issuer)
        try:
            async with asyncio.timeout(WITHIN), self._client(issuer, metadata, back) as client:
                token = await client.fetch_token(
                    metadata.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=_derived(secret, state, "verifier"),
                )
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            raise ProviderAwayError(f"the provider {issuer.alias!r} fails: {error!r}") from error
        except OAuthError as error:
            _log.warning("login_refused", issuer=issuer.alias, reason=str(error))
            raise LoginError("the provider does not take its own code") from error
        given = token.get("id_token")
        if not isinstance(given, str):
            raise LoginError("the provider gave no ID token")
        try:
            checked = await check_for(given, self._identities.providers, sign_in.client_id)
        except TokenRefusedError as error:
            _log.warning("login_refused", issuer=issuer.alias, reason=str(error))
            raise LoginError("the ID token of the provider is not valid") from error
        nonce = checked.claims.get("nonce")
        wanted = _derived(secret, state, "nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), wanted.encode()):
            raise LoginError("the ID token is of another sign-in")
        if checked.issuer is not issuer:
            raise LoginError("the ID token is of another provider")
        if checked.claims.get("azp", sign_in.client_id) != sign_in.client_id:
            raise LoginError("the ID token is for another client")
        return checked

    def _provider(self, issuer: Issuer) -> Provider:
        return self._identities.providers[issuer.issuer]

    @staticmethod
    def _client(issuer: Issuer, metadata: Metadata, back: str) -> AsyncOAuth2Client:
        sign_in = _sign_in(issuer)
        secret = sign_in.client_secret()
        return AsyncOAuth2Client(
            sign_in.client_id,
            secret,
            redirect_uri=back,
            scope=" ".join(sign_in.scopes),
            code_challenge_method="S256",
            token_endpoint_auth_method=_way(metadata) if secret else "none",
            timeout=TIMEOUT,
        )


def _way(metadata: Metadata) -> str:
    """Return how the client shows its secret: in a header, unless only a form is taken."""
    taken = metadata.token_endpoint_auth_methods_supported
    if taken is not None and "client_secret_basic" not in taken and "client_secret_post" in taken:
        return "client_secret_post"
    return "client_secret_basic"


def _sign_in(issuer: Issuer) -> SignIn:
    assert issuer.sign_in is not None, "nobody can sign in there"
    return issuer.sign_in


def _derived(secret: str, state: str, purpose: str) -> str:
    """Return a value that only this browser's secret leads to, of 43 characters."""
    digest = hmac.digest(secret.encode(), f"{purpose} {state}".encode(), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
