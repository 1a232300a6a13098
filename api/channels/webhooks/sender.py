"""Posts a body to a webhook, within limits of time and size, and only where it may go."""

import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from api.channels.webhooks.resolver import OwnThreadsResolver
from api.channels.webhooks.targets import Targets

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
"""From the look-up of the host to the last header of the answer. Nothing waits for its body."""
AT_ONCE_PER_HOST = 64
LONGEST_RETRY_AFTER = 24 * 3600.0
AGENT = "Placet-Webhooks/1"


class Answer(msgspec.Struct, frozen=True):
    """What a receiver answered. ``retry_after`` is in seconds, None if it did not say."""

    status: int
    retry_after: float | None = None


class UnreachableError(Exception):
    """Nobody answered. The message says why, and has neither a secret nor an answer in it."""


class WebhookSender:
    """Posts to receivers. Use it as ``async with``.

    An address is checked when its socket is made, with the very address that is connected to. So a
    name that has another address at the next look-up (DNS rebinding) leads nowhere else. Redirects
    are not followed, bodies of answers are not read, cookies are not kept, and no proxy of the
    environment is used.
    """

    def __init__(
        self,
        targets: Targets,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._targets = targets
        self._timeout = aiohttp.ClientTimeout(total=total_seconds, sock_connect=connect_seconds)
        self._resolver = resolver
        self._own_resolver: OwnThreadsResolver | None = None
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. A later post opens them again."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()
        if self._own_resolver is not None:
            await self._own_resolver.close()
            self._own_resolver = None

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """Post a body and return the answer, whatever its status. Raises UnreachableError."""
        if problem := self._targets.url_problem(url):
            raise UnreachableError(problem)
        target = URL(url)
        assert target.raw_host is not None
        session = self._session(any_address=self._targets.allows_host(target.raw_host))
        try:
            async with session.post(
                target, data=body, headers=headers, allow_redirects=False
            ) as response:
                return Answer(response.status, _retry_after(response.headers.get("retry-after")))
        except aiohttp.ConnectionTimeoutError:
            raise UnreachableError(
                f"no connection within {self._timeout.sock_connect:g} s"
            ) from None
        except aiohttp.ServerDisconnectedError:
            raise UnreachableError("the receiver closed the connection without an answer") from None
        except TimeoutError:
            raise UnreachableError(f"no answer within {self._timeout.total:g} s") from None
        except aiohttp.ClientConnectorCertificateError as error:
            reason = error.certificate_error
            raise UnreachableError(f"the certificate is not valid: {reason}") from None
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(f"no connection: {error.os_error}") from None
        except aiohttp.ClientResponseError as error:
            # Its text has the URL in it, which can be a secret.
            what = " ".join(error.message.split())[:200]
            raise UnreachableError(f"what it answered is not HTTP: {what}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError(f"{type(error).__name__}: {str(error)[:200]}") from None

    def _session(self, *, any_address: bool) -> aiohttp.ClientSession:
        """Return the session for hosts that are allowed by their names, or the one for others.

        There are two, because what makes a socket knows its address and not the host's name.
        """
        if (session := self._sessions.get(any_address)) is not None:
            return session
        if self._resolver is None and self._own_resolver is None:
            self._own_resolver = OwnThreadsResolver()
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=AT_ONCE_PER_HOST,
            # Each connection looks the name up anew, as its receiver may have moved.
            use_dns_cache=False,
            resolver=self._resolver or self._own_resolver,
            socket_factory=None if any_address else self._checked_socket,
        )
        session = self._sessions[any_address] = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": AGENT, "content-type": "application/cloudevents+json"},
            auto_decompress=False,
            trust_env=False,
        )
        return session

    def _checked_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for an address. Raises PermissionError for one that is refused."""
        family, type_, protocol, _, address = info
        if problem := self._targets.address_problem(ip_address(address[0])):
            raise PermissionError(problem)
        return socket.socket(family=family, type=type_, proto=protocol)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of RFC 9110, section 10.2.3, at most a day; None if it is neither form."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text[:10])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
