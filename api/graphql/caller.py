"""Who sends a request: reads its headers, and names the functions that authenticate it.

Principals and contexts are opaque here: the functions that make them are passed in.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.datastructures import Headers

# W3C Trace Context, section 3.2.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Authenticate = Callable[[str | None], Awaitable[Any]]
"""Returns the principal of a token, None if the token is not valid."""


class MakeContext(Protocol):
    """Makes the context of one request, which resolvers get as ``info.context``."""

    def __call__(
        self,
        *,
        principal: Any,
        recheck: Callable[[], Awaitable[Any]],
        trace: str | None,
        gone: Callable[[], Awaitable[None]] | None = None,
        cut: Callable[[], Awaitable[bool]] | None = None,
    ) -> Any:
        """Make the context.

        ``recheck`` authenticates the token once more. ``trace`` is the W3C traceparent. ``gone``
        returns once the client has hung up, None if that can't be known. ``cut`` returns whether
        the connection broke off, once its subscription is closed; None if that can't be known.
        """
        ...


def bearer(header: str | None) -> str | None:
    """Return the token of an Authorization header (RFC 6750, section 2.1), None if it has none."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def token_of(payload: object, headers: Headers) -> str | None:
    """Return the token of a WebSocket, None if it has none.

    It is a member ``authorization`` of the payload of ``connection_init``, or of ``headers`` in
    there, in any case; if there is neither, it is in the header of the request that opened the
    connection. Clients differ in where they put it.
    """
    members = _lower(payload)
    for found in (members, _lower(members.get("headers"))):
        if "authorization" in found:
            given = found["authorization"]
            return bearer(given) if isinstance(given, str) else None
    return bearer(headers.get("authorization"))


def _lower(value: object) -> dict[str, Any]:
    """Return the members of an object by their names in lower case; none for another value."""
    return {name.lower(): item for name, item in value.items()} if isinstance(value, dict) else {}


def trace_of(headers: Headers) -> str | None:
    """Return the traceparent header, None if it is missing or malformed."""
    given = headers.get("traceparent")
    return given if given is not None and _TRACEPARENT.fullmatch(given) else None
