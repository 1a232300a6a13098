"""Who sends a request: reads its headers, and names the functions that authenticate it.

Principals and contexts are opaque here: the functions that make them are passed in.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.datastructures import Headers
from starlette.types import Scope

from api.graphql.answer_budget import AnswerBudget
from api.graphql.request import Traces, traceparent

CONNECTION = "placet.connection"
"""The extension of ASGI's scope that has the client's connection, an :class:`Identifiable`."""

Authenticate = Callable[[str | None], Awaitable[Any]]
"""Returns the principal of a token, None if the token is not valid."""


class Identifiable(Protocol):
    """A connection that is told when its client is known."""

    def identified(self) -> None:
        """Take what it sends without a pause, and messages of full size: its token is valid."""


def note_identified(scope: Scope) -> None:
    """Tell the connection of a request that its client has shown a valid token."""
    connection: Identifiable | None = scope.get("extensions", {}).get(CONNECTION)
    if connection is not None:
        connection.identified()


class RequestContext(Protocol):
    """The context of one request, which resolvers get as ``info.context``."""

    @property
    def answer(self) -> AnswerBudget:
        """How large the answer may become."""

    @property
    def challenge(self) -> str | None:
        """The value of WWW-Authenticate, if the answer asks for another login."""

    def hold(self, size: int) -> None:
        """Hold only an encoded answer of this size. Raises an error for the client if too much."""

    def finish(self) -> None:
        """Give back what the request has used: its answer was sent."""


class MakeContext(Protocol):
    """Makes the context of one request, in the task of the request."""

    def __call__(
        self,
        *,
        principal: Any,
        recheck: Callable[[], Awaitable[Any]],
        traces: Traces,
        gone: Callable[[], Awaitable[None]] | None = None,
        cut: Callable[[], Awaitable[bool]] | None = None,
    ) -> RequestContext:
        """Make the context.

        ``recheck`` authenticates the token once more. ``traces`` are the W3C traceparents.
        ``gone`` returns once the client has hung up, None if that can't be known. ``cut`` returns
        whether the connection broke off, once its subscription is closed; None if that can't be
        known.
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
    return traceparent(headers.get("traceparent"))
