"""Checks one token: a JSON Web Token (RFC 7519) that a configured provider signed for this service.

What RFC 9068 (section 4) and RFC 8725 ask for is checked here. Reasons are for the log; who sent
the token is told only that it is not valid.
"""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from api.identity.issuers import Issuer
from api.identity.provider import Provider, UnknownKeyError
from domain.validation import MAX_NAME

MAX_TOKEN = 16 * 1024
MAX_SUBJECT = 255
"""OpenID Connect Core 1.0, section 2."""
# RFC 9068, section 2.1, and what providers write that do not know it. Tokens of another type, such
# as those for a logout, are signed with the same keys.
TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt", "application/jwt"})


class TokenRefusedError(Exception):
    """The token is not valid. The message says why, without the token."""


class Checked(NamedTuple):
    """The claims of a token whose signature, times and audience are right.

    ``until`` is when it ends by the clock of this machine, in seconds since 1970.
    """

    issuer: Issuer
    subject: str
    claims: Mapping[str, Any]
    until: float


async def check(token: str, providers: Mapping[str, Provider]) -> Checked:
    """Check a bearer token. ``providers`` are by the names of their issuers.

    Raises TokenRefusedError, and ProviderAwayError if its key can't be read.
    """
    return await check_for(token, providers, None)


async def check_for(token: str, providers: Mapping[str, Provider], audience: str | None) -> Checked:
    """Check a token for this audience; None means those that the issuer is configured with."""
    signature, header, claims = _parts(token)
    provider = _provider(claims, providers)
    issuer = provider.issuer
    algorithm = header.get("alg")
    if algorithm not in issuer.algorithms:
        raise TokenRefusedError(
            f"the algorithm {_quoted(algorithm)} is not one of {', '.join(issuer.algorithms)}"
        )
    if "crit" in header:
        raise TokenRefusedError("the header has extensions that must be understood (crit)")
    type_ = header.get("typ")
    if type_ is not None and not (isinstance(type_, str) and type_.lower() in TYPES):
        raise TokenRefusedError(f"the type {_quoted(type_)} is none of a token for access")
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise TokenRefusedError("the id of the key is not a string")
    try:
        key = await provider.key(kid, algorithm)
    except UnknownKeyError:
        raise TokenRefusedError(f"the issuer publishes no key {_quoted(kid)} for it") from None
    try:
        genuine = jws.validate_compact(signature, key, algorithms=[algorithm])
    except (JoseError, ValueError) as error:
        raise TokenRefusedError(f"the signature can't be checked: {error}") from None
    if not genuine:
        raise TokenRefusedError("the signature is wrong")
    audiences = issuer.audiences if audience is None else [audience]
    return _checked_claims(claims, issuer, audiences)


def _parts(token: str) -> tuple[jws.CompactSignature, dict[str, Any], dict[str, Any]]:
    """Take a token apart. Nothing of it can be trusted yet."""
    if len(token) > MAX_TOKEN:
        raise TokenRefusedError(f"it has {len(token)} characters, the limit is {MAX_TOKEN}")
    try:
        signature = jws.extract_compact(token.encode("ascii"))
        claims = msgspec.json.decode(signature.payload)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise TokenRefusedError("it is no JSON Web Token") from None
    header = signature.headers()
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise TokenRefusedError("it is no JSON Web Token")
    return signature, header, claims


def _provider(claims: dict[str, Any], providers: Mapping[str, Provider]) -> Provider:
    issuer = claims.get("iss")
    provider = providers.get(issuer) if isinstance(issuer, str) else None
    if provider is None:
        raise TokenRefusedError(f"the issuer {_quoted(issuer)} is not configured")
    return provider


def _checked_claims(claims: dict[str, Any], issuer: Issuer, audiences: list[str]) -> Checked:
    named = claims.get("aud")
    meant = [named] if isinstance(named, str) else named
    if not isinstance(meant, list) or not any(one in audiences for one in meant):
        raise TokenRefusedError(f"it is for {_quoted(named)}, not for {', '.join(audiences)}")
    _text(claims, "sub")
    subject = _text(claims, issuer.claims.subject)
    for name, value in issuer.require.items():
        if claim(claims, name) != value:
            raise TokenRefusedError(f"{name} is {_quoted(claim(claims, name))}, not {value!r}")
    ends = _checked_times(claims, issuer.clock_skew)
    return Checked(issuer, subject, claims, ends)


def _text(claims: dict[str, Any], name: str) -> str:
    """Return a claim that says who somebody is."""
    value = claim(claims, name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_SUBJECT:
        raise TokenRefusedError(f"{name} is no text of 1 to {MAX_SUBJECT} characters")
    return value


def _checked_times(claims: dict[str, Any], skew: int) -> float:
    """Return when the token ends, by the clock of this machine."""
    now = time.time()
    ends = _moment(claims, "exp")
    if ends is None:
        raise TokenRefusedError("it never expires (exp is missing)")
    if ends + skew <= now:
        raise TokenRefusedError("it has expired")
    begins = _moment(claims, "nbf")
    if begins is not None and begins - skew > now:
        raise TokenRefusedError("it is not valid yet (nbf)")
    for name in ("iat", "auth_time"):
        moment = _moment(claims, name)
        if moment is not None and moment - skew > now:
            raise TokenRefusedError(f"{name} is in the future")
    return ends + skew


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate (RFC 7519, section 2); None if it is missing."""
    given = claims.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TokenRefusedError(f"{name} is no number")
    # Python's own times end with the year 9999.
    if not math.isfinite(given) or not 0 <= given < 253_402_300_800:  # noqa: PLR2004
        raise TokenRefusedError(f"{name} is no moment")
    return float(given)


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; None if there is none.

    A dot leads into an object. A claim whose own name has the dot comes first: many are addresses.
    """
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def login_time(checked: Checked) -> datetime | None:
    """Return when the person last showed who they are, None if the token does not say."""
    moment = _moment(checked.claims, "auth_time")
    return None if moment is None else datetime.fromtimestamp(moment, UTC)


def _quoted(value: object) -> str:
    """Return what a token says, for the log: short, and on one line."""
    return repr(value)[:MAX_NAME]
