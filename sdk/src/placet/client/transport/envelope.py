"""GraphQL over the wire: an operation with the type of its answer, and what an error says."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from placet.errors import REQUEST_ERRORS, Internal, RequestError

T = TypeVar("T")


class ErrorExtensions(msgspec.Struct, frozen=True):
    """The part of a GraphQL error that programs read."""

    code: str = ""


class ErrorInfo(msgspec.Struct, frozen=True):
    """One GraphQL error."""

    message: str
    extensions: ErrorExtensions = ErrorExtensions()

    def exception(self) -> RequestError:
        """Give the exception for this error."""
        return REQUEST_ERRORS.get(self.extensions.code, Internal)(self.message)


class Data(msgspec.Struct, Generic[T], frozen=True):
    """The data of an answer: every document names its root field ``result``."""

    result: T | None = None


class Response(msgspec.Struct, Generic[T], frozen=True):
    """An answer, as HTTP and the WebSocket bring it."""

    data: Data[T] | None = None
    errors: tuple[ErrorInfo, ...] = ()

    def result(self) -> T | None:
        """Give the result. Raises RequestError if there was an error, the first of them."""
        if self.errors:
            raise self.errors[0].exception()
        return None if self.data is None else self.data.result


class Operation(Generic[T]):
    """A GraphQL document, and how its answer is read."""

    __slots__ = ("_decoder", "changes", "document")

    def __init__(self, document: str, decoder: msgspec.json.Decoder[Response[T]]) -> None:
        self.document = document
        self.changes = document.lstrip().startswith("mutation")
        self._decoder = decoder

    def read(self, body: bytes | msgspec.Raw) -> T | None:
        """Read an answer. Raises RequestError: the one it tells, or Internal if it is no answer."""
        try:
            response = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            msg = f"the service's answer can't be read: {error}"
            raise Internal(msg) from error
        return response.result()


class Request(msgspec.Struct, frozen=True):
    """What is posted, and what a subscription begins with."""

    query: str
    variables: Mapping[str, Any]


def variables(**values: Any) -> dict[str, Any]:
    """Leave out what is None, so that the service's defaults hold."""
    return {name: value for name, value in values.items() if value is not None}
