"""GraphQL requests, as they come over HTTP and WebSocket."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from api.errors import bad_request

# W3C Trace Context, section 3.2.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Traces(NamedTuple):
    """The W3C traceparents of a request: of all of it, and of each of its commands.

    A command without one of its own belongs to the trace of the request.
    """

    request: str | None = None
    commands: tuple[str | None, ...] = ()

    def of(self, number: int) -> str | None:
        """Return the traceparent of a command by its place among those of the request."""
        own = self.commands[number] if number < len(self.commands) else None
        return own or self.request

    def within(self, trace: str | None) -> "Traces":
        """Return these, with the trace of the connection for what has none."""
        return self if self.request is not None or trace is None else self._replace(request=trace)


NO_TRACES = Traces()


class GraphQLRequest(NamedTuple):
    """A document, its variables, and the name of the operation to execute.

    ``traces`` are in the extensions ``traceparent`` and ``traceparents``.
    """

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    traces: Traces = NO_TRACES

    @classmethod
    def of(cls, given: object) -> "GraphQLRequest":
        """Check the parameters (GraphQL over HTTP, section 5.1).

        Raises BAD_REQUEST, which names the wrong parameter.
        """
        if not isinstance(given, dict):
            raise bad_request("the request must be one JSON object with the member query")
        query = given.get("query")
        if not isinstance(query, str):
            raise bad_request("query must be a string with a GraphQL document")
        variables = given.get("variables")
        if variables is not None and not isinstance(variables, dict):
            raise bad_request("variables must be an object")
        operation_name = given.get("operationName")
        if operation_name is not None and not isinstance(operation_name, str):
            raise bad_request("operationName must be a string")
        extensions = given.get("extensions")
        if extensions is not None and not isinstance(extensions, dict):
            raise bad_request("extensions must be an object")
        traces = NO_TRACES if not extensions else _traces(extensions)
        return cls(query, variables, operation_name, traces)


def traceparent(given: object) -> str | None:
    """Return a traceparent. None if it is missing or malformed, which is no error."""
    return given if isinstance(given, str) and _TRACEPARENT.fullmatch(given) else None


def _traces(extensions: Mapping[str, object]) -> Traces:
    several = extensions.get("traceparents")
    commands = map(traceparent, several) if isinstance(several, list) else ()
    return Traces(traceparent(extensions.get("traceparent")), tuple(commands))
