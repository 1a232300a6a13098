"""What a provider publishes: its addresses, and the keys with which it signs.

OpenID Connect Discovery 1.0, section 4, and RFC 7517. Both are read in the background, so that a
token whose key is known is checked without a call over the network. While a provider can't be
reached, the keys that it published last stay good.
"""

import asyncio
from contextlib import suppress
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from api.identity.issuers import Issuer, is_loopback
from application.background_tasks import stop

_log = structlog.get_logger(__name__)

MAX_DOCUMENT = 512 * 1024
"""Bytes that a provider may answer with."""
TIMEOUT = 5.0
"""Seconds until the next bytes of a provider."""
WITHIN = 10.0
"""Seconds for all that is asked of a provider at one time."""
ASK_AGAIN = 10.0
"""Seconds between two reads of the keys because of tokens with a key that is not known."""
RETRY = 5.0
"""Seconds until a failed read in the background is repeated."""
MIN_RSA_BITS = 2048


_ADDRESSES = ("jwks_uri", "authorization_endpoint", "token_endpoint", "end_session_endpoint")
_FAILURES = (httpx.HTTPError, TimeoutError, ValueError, JoseError)


class UnknownKeyError(Exception):
    """The provider publishes no such key."""


class ProviderAwayError(Exception):
    """The provider can't be reached, and what is asked of it is not known. Says why."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of a provider, in the members of its discovery document."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None


class Provider:
    """One provider. ``revision`` counts how often it took back a key."""

    def __init__(self, issuer: Issuer, http: httpx.AsyncClient) -> None:
        self.issuer = issuer
        self.revision = 0
        self._http = http
        self._metadata: Metadata | None = None
        self._keys: dict[str | None, list[Key]] | None = None
        self._failure: Exception | None = None
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the background task that reads the keys, now and from time to time."""
        name = f"placet-issuer-{self.issuer.alias}"
        self._tasks = [asyncio.create_task(self._read_for_ever(), name=name)]

    async def close(self) -> None:
        """Stop it."""
        await stop([*self._tasks, *([self._reading] if self._reading else [])])

    async def metadata(self) -> Metadata:
        """Return its addresses. Raises ProviderAwayError if they were never read."""
        if self._metadata is None:
            await self._read()
        if self._metadata is None:
            raise self._away()
        return self._metadata

    async def key(self, kid: str | None, algorithm: str) -> Key:
        """Return the key with this id for an algorithm.

        The keys are read again if it is not among them, but not more often than every ten seconds.
        Raises UnknownKeyError if the provider has no such key, and ProviderAwayError if that can't
        be told.
        """
        found = self._found(kid, algorithm)
        if found is None and self._due():
            await self._read()
            found = self._found(kid, algorithm)
        if found is not None:
            return found
        if self._failure is not None or self._keys is None:
            raise self._away()
        raise UnknownKeyError

    def _due(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._reading is not None or now - self._read_at >= ASK_AGAIN

    def _away(self) -> ProviderAwayError:
        return ProviderAwayError(
            f"the keys of the issuer {self.issuer.alias!r} can't be read: {self._failure}"
        )

    def _found(self, kid: str | None, algorithm: str) -> Key | None:
        keys = self._keys or {}
        # Without an id only if there is one key that fits, so that nothing is tried out.
        candidates = keys.get(kid, []) if kid is not None else chain(*keys.values())
        fitting = [key for key in candidates if _fits(key, algorithm)]
        return fitting[0] if len(fitting) == 1 else None

    async def _read_for_ever(self) -> None:
        while True:
            await self._read()
            await asyncio.sleep(self.issuer.refresh if self._failure is None else RETRY)

    async def _read(self) -> None:
        """Read addresses and keys; callers that come meanwhile wait for the same read."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_now(), name="placet-issuer-keys")
            self._reading.add_done_callback(self._read_is_over)
        with suppress(*_FAILURES):
            await asyncio.shield(self._reading)

    def _read_is_over(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()

    async def _read_now(self) -> None:
        try:
            async with asyncio.timeout(WITHIN):
                await self._read_documents()
        except _FAILURES as error:
            if self._failure is None:
                _log.warning("issuer_not_read", issuer=self.issuer.alias, error=repr(error))
            self._failure = error
            raise
        else:
            if self._failure is not None:
                _log.info("issuer_read_again", issuer=self.issuer.alias)
            self._failure = None
        finally:
            self._read_at = asyncio.get_running_loop().time()

    async def _read_documents(self) -> None:
        # Keys at a configured address come first: they do not depend on what is discovered.
        if self.issuer.jwks_uri is not None:
            self._take(_key_set(await self._fetch(self.issuer.jwks_uri)))
            if self.issuer.sign_in is not None:
                self._metadata = await self._discover()
            return
        self._metadata = await self._discover()
        self._take(_key_set(await self._fetch(self._metadata.jwks_uri)))

    async def _discover(self) -> Metadata:
        address = self.issuer.issuer.rstrip("/") + "/.well-known/openid-configuration"
        metadata = msgspec.json.decode(await self._fetch(address), type=Metadata)
        if metadata.issuer != self.issuer.issuer:
            msg = f"{address} is of the issuer {metadata.issuer!r}, not {self.issuer.issuer!r}"
            raise ValueError(msg)
        for name in _ADDRESSES:
            _check_secure(getattr(metadata, name), name)
        return metadata

    async def _fetch(self, address: str) -> bytes:
        """Read a document. Raises httpx.HTTPError, and ValueError if it is too large."""
        async with self._http.stream("GET", address) as response:
            response.raise_for_status()
            if response.is_redirect:
                msg = f"{address} answers with a redirect, which is not followed"
                raise ValueError(msg)
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_DOCUMENT:
                    msg = f"{address} answers with more than {MAX_DOCUMENT} bytes"
                    raise ValueError(msg)
        return bytes(body)

    def _take(self, keys: dict[str | None, list[Key]]) -> None:
        before = {_thumbprint(key) for each in (self._keys or {}).values() for key in each}
        after = {_thumbprint(key) for each in keys.values() for key in each}
        if before - after:
            # Tokens that were signed with it are checked again.
            self.revision += 1
        self._keys = keys


def _check_secure(address: str | None, name: str) -> None:
    if address is None:
        return
    parts = urlsplit(address)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        msg = f"the provider names an address without https as its {name}: {address}"
        raise ValueError(msg)


def _key_set(document: bytes) -> dict[str | None, list[Key]]:
    """Return the keys to check signatures with, by their ids.

    Raises ValueError and JoseError for what is no set of keys.
    """
    given = msgspec.json.decode(document, type=dict[str, Any])
    listed = given.get("keys")
    if not isinstance(listed, list):
        raise ValueError('the set of keys has no list "keys"')  # noqa: TRY004 - its content is wrong
    found: dict[str | None, list[Key]] = {}
    for one in listed:
        # One key that can't be read, of a type of the future say, must not spoil the others.
        with suppress(JoseError, ValueError, TypeError, KeyError):
            [key] = KeySet.import_key_set({"keys": [_public(one)]}).keys
            if not (isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS):
                kid = one.get("kid")
                found.setdefault(kid if isinstance(kid, str) else None, []).append(key)
    if not found:
        raise ValueError("the set of keys has no key that can check a signature")
    return found


def _public(given: Any) -> Any:
    if not isinstance(given, dict) or given.get("kty") not in {"RSA", "EC", "OKP"}:
        raise ValueError("no key with a public part")
    return given


def _fits(key: Key, algorithm: str) -> bool:
    """Whether a key is for signatures with this algorithm."""
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return False
    if algorithm.startswith(("RS", "PS")):
        return isinstance(key, RSAKey)
    if algorithm.startswith("ES"):
        return isinstance(key, ECKey)
    return key.get("crv") == algorithm


def _thumbprint(key: Key) -> str:
    return str(key.thumbprint())
