"""GraphQL on the wire: operations, requests and answers, and the exceptions for its errors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec
from msgspec.structs import replace

from placet._util.tracing import current_traceparent
from placet.errors import REQUEST_ERRORS, Internal, RequestError

P = ParamSpec("P")
T = TypeVar("T")

Variables = Mapping[str, Any]

_encode = msgspec.json.Encoder().encode


class ErrorExtensions(msgspec.Struct, frozen=True):
    """The part of a GraphQL error that programs read."""

    code: str = ""


class ErrorInfo(msgspec.Struct, frozen=True):
    """One GraphQL error."""

    message: str
    extensions: ErrorExtensions = ErrorExtensions()

    def exception(self) -> RequestError:
        """Return the exception for this error."""
        return REQUEST_ERRORS.get(self.extensions.code, Internal)(self.message)


class Data(msgspec.Struct, Generic[T], frozen=True):
    """The data of an answer. Every document names its root field ``result``."""

    result: T | None = None


class Response(msgspec.Struct, Generic[T], frozen=True):
    """An answer, by HTTP or over the WebSocket."""

    data: Data[T] | None = None
    errors: tuple[ErrorInfo, ...] = ()

    def result(self) -> T | None:
        """Return the result. Raises RequestError for the first error, if there is one."""
        if self.errors:
            raise self.errors[0].exception()
        return None if self.data is None else self.data.result


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is posted, and what a subscription begins with."""

    query: str
    variables: Variables
    extensions: Mapping[str, Any] | None = None


class Operation(Generic[P, T]):
    """A GraphQL document, the variables that it takes, and how its answer is read.

    Calling it with the arguments of ``variables`` gives what can be sent.
    """

    __slots__ = ("_decoder", "_variables", "changes", "document")

    def __init__(
        self,
        document: str,
        decoder: msgspec.json.Decoder[Response[T]],
        variables: Callable[P, Variables],
    ) -> None:
        self.document = document
        self.changes = document.lstrip().startswith("mutation")
        self._decoder = decoder
        self._variables = variables

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> "BoundOperation[T]":
        """Bind the operation to variables."""
        return BoundOperation(self, self._variables(*args, **kwargs))

    def bind(self, variables: Variables) -> "BoundOperation[T]":
        """Bind the operation to variables that are named as the document names them."""
        return BoundOperation(self, variables)

    def read(self, body: bytes | msgspec.Raw) -> T | None:
        """Read an answer.

        Raises RequestError: what the answer says, or Internal if it can't be read.
        """
        try:
            response = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            msg = f"the service's answer can't be read: {error}"
            raise Internal(msg) from error
        return response.result()


class BoundOperation(Generic[T]):
    """An operation with its variables.

    ``traces``: the traceparents of its commands, if each has its own.
    """

    __slots__ = ("operation", "traces", "variables")

    def __init__(
        self,
        operation: Operation[..., T],
        variables: Variables,
        traces: Sequence[str | None] = (),
    ) -> None:
        self.operation = operation
        self.variables = variables
        self.traces = traces

    @property
    def request(self) -> Request:
        """What is sent."""
        return Request(query=self.operation.document, variables=self.variables)

    def body(self) -> bytes:
        """Return what is sent, as JSON, with the trace that it is sent from."""
        trace = current_traceparent()
        if trace is None and not any(self.traces):
            return _encode(self.request)
        extensions: dict[str, Any] = given(traceparent=trace, traceparents=self.traces or None)
        return _encode(replace(self.request, extensions=extensions))


def given(**values: Any) -> dict[str, Any]:
    """Leave out what is None, so that the service's defaults hold."""
    return {name: value for name, value in values.items() if value is not None}
