"""GraphQL over HTTP, by the specification of that name, directly on ASGI.

https://graphql.github.io/graphql-over-http/draft/
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api.errors import ApiError, ErrorCode, bad_request, limit_exceeded, unauthenticated
from api.graphql.caller import (
    Authenticate,
    MakeContext,
    RequestContext,
    bearer,
    note_identified,
    trace_of,
)
from api.graphql.executor import Answer, Executor, InvalidRequestError, refusal
from api.graphql.ide import IdePage
from api.graphql.json_body import decode_json
from api.graphql.request import GraphQLRequest

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"

# For requests that were not executed. The media type application/json always gets 200.
_STATUS = {
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.OVERLOADED: 503,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.INTERNAL: 500,
}
_MAX_FIELDS = 10
PART_BYTES = 64 * 1024
MAX_INCOMPLETE_BYTES = 32 * 1024 * 1024
"""Bytes of bodies of all clients that are not complete yet."""
_METHODS = ("GET", "POST")


class _HttpError(Exception):
    """An error of HTTP itself. It has this status for every media type."""

    def __init__(self, status: int, error: ApiError, **headers: str) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers


class _ClientGoneError(Exception):
    """The client has hung up."""


class _Response(NamedTuple):
    """``context`` has to be finished once the response was sent."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str]
    context: RequestContext | None = None


class GraphQLOverHttp:
    """An ASGI application for POST and GET. ``ide``: a page that browsers get."""

    def __init__(
        self,
        executor: Executor,
        authenticate: Authenticate,
        make_context: MakeContext,
        *,
        max_body_bytes: int,
        ide: IdePage | None = None,
    ) -> None:
        self._executor = executor
        self._authenticate = authenticate
        self._make_context = make_context
        self._max_body_bytes = max_body_bytes
        self._incomplete_bytes = 0
        self._ide = ide

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._respond(scope, Headers(scope=scope), receive)
        except _ClientGoneError:
            return
        headers = {
            "content-type": f"{response.media_type}; charset=utf-8",
            "content-length": str(len(response.body)),
            "cache-control": "no-store",
            "vary": "accept, authorization",
            **response.headers,
        }
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        try:
            await _send_body(send, response.body)
        finally:
            if response.context is not None:
                response.context.finish()

    async def _respond(self, scope: Scope, headers: Headers, receive: Receive) -> _Response:
        if self._ide is not None and _asks_for_page(scope, headers):
            return _Response(200, self._ide.html, "text/html", self._ide.headers)
        media_type = accepted(headers.get("accept"))
        more: dict[str, str] = {}
        context: RequestContext | None = None
        try:
            answer, context = await self._answer(scope, headers, receive)
            status = 200
        except InvalidRequestError as error:
            answer = error.answer
            status = 200 if media_type == JSON else _status(answer)
        except _HttpError as error:
            answer, status, more = refusal(error.error), error.status, error.headers
        except _ClientGoneError:
            raise
        except Exception as error:  # noqa: BLE001 - it is logged, and the client gets an error
            answer = refusal(error)
            status = _status(answer)
        body = dumps(answer.body)
        if context is not None:
            if context.challenge is not None:
                # The refusal itself is data, so the status stays that of an answer.
                more = {"www-authenticate": context.challenge}
            try:
                context.hold(len(body))
            except Exception as error:  # noqa: BLE001 - it is the client's answer
                context.finish()
                answer = refusal(error)
                return _Response(_status(answer), dumps(answer.body), media_type, more)
        return _Response(status, body, media_type, more, context)

    async def _answer(
        self, scope: Scope, headers: Headers, receive: Receive
    ) -> tuple[Answer, RequestContext]:
        if scope["method"] not in _METHODS:
            # Before the token, because browsers ask OPTIONS without one.
            message = f"{scope['method']} is not supported; send a POST"
            raise _HttpError(405, bad_request(message), allow=", ".join(_METHODS))
        token = bearer(headers.get("authorization"))
        principal = await self._authenticate(token)
        if principal is None:
            raise _HttpError(401, unauthenticated(), **{"www-authenticate": "Bearer"})
        note_identified(scope)
        if scope["method"] == "POST":
            request = await self._posted(headers, receive)
        else:
            request = _from_query(scope["query_string"])
        operation = self._executor.prepare(request)
        if operation.type is OperationType.SUBSCRIPTION:
            message = "subscriptions need a WebSocket with the protocol graphql-transport-ws"
            raise _HttpError(400, bad_request(message))
        if operation.type is OperationType.MUTATION and scope["method"] == "GET":
            raise _HttpError(405, bad_request("mutations need a POST"), allow="POST")

        async def recheck() -> Any:
            return await self._authenticate(token)

        async def gone() -> None:
            # After the body, the only message is the disconnect.
            while (await receive())["type"] != "http.disconnect":
                pass

        context = self._make_context(
            principal=principal,
            recheck=recheck,
            traces=request.traces.within(trace_of(headers)),
            gone=gone,
        )
        try:
            return await self._executor.answer(operation, request.variables, context), context
        except BaseException:
            context.finish()
            raise

    async def _posted(self, headers: Headers, receive: Receive) -> GraphQLRequest:
        if not _is_json(headers.get("content-type")):
            message = f"Content-Type must be {JSON} with the charset UTF-8"
            raise _HttpError(415, bad_request(message))
        if headers.get("content-encoding", "identity") != "identity":
            raise _HttpError(
                415,
                bad_request("the body must not be compressed; send it without Content-Encoding"),
            )
        body = await self._body(headers, receive)
        try:
            given = decode_json(body, "the body")
        except ValueError as error:
            raise _HttpError(400, bad_request(str(error))) from error
        return _request(given)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        told = headers.get("content-length", "")
        if told.isdecimal() and int(told) > self._max_body_bytes:
            raise self._too_large()
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            whole: bytes = message.get("body", b"")
            if len(whole) > self._max_body_bytes:
                raise self._too_large()
            return whole
        # Incomplete bodies of all clients are counted together.
        parts = bytearray()
        more = True
        try:
            while more:
                if message["type"] == "http.disconnect":
                    raise _ClientGoneError
                part: bytes = message.get("body", b"")
                parts += part
                self._incomplete_bytes += len(part)
                if len(parts) > self._max_body_bytes:
                    raise self._too_large()
                if self._incomplete_bytes > MAX_INCOMPLETE_BYTES:
                    problem = "too many bodies are being received; send the request again later"
                    raise _HttpError(503, ApiError(ErrorCode.OVERLOADED, problem))
                more = message.get("more_body", False)
                if more:
                    message = await receive()
        finally:
            self._incomplete_bytes -= len(parts)
        return bytes(parts)

    def _too_large(self) -> _HttpError:
        message = f"the body has more than {self._max_body_bytes} bytes"
        return _HttpError(413, limit_exceeded(message))


async def _send_body(send: Send, body: bytes) -> None:
    """Send a body. A large one is sent in parts, so that no more waits than the client reads."""
    start = 0
    while start + PART_BYTES < len(body):
        part = body[start : start + PART_BYTES]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        start += PART_BYTES
    await send({"type": "http.response.body", "body": body[start:] if start else body})


def dumps(value: Any) -> bytes:
    """Encode a response as JSON in UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # A message may quote a lone surrogate of a client, which only an escape can express.
        return json.dumps(value).encode()


@lru_cache(256)
def accepted(header: str | None) -> str:
    """Choose the media type of a response by the Accept header (RFC 9110, section 12.5.1).

    If the client accepts neither media type of GraphQL, it gets application/json anyway.
    """
    best, chosen = 0.0, JSON
    for item in (header or "*/*").lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        quality = _quality(parameters)
        if name == GRAPHQL_JSON and quality >= best and quality > 0:
            best, chosen = quality, GRAPHQL_JSON
        elif name in {JSON, "application/*", "*/*"} and quality > best:
            best, chosen = quality, JSON
    return chosen


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _status(answer: Answer) -> int:
    return 400 if answer.code is None else _STATUS.get(answer.code, 400)


def _asks_for_page(scope: Scope, headers: Headers) -> bool:
    return scope["method"] == "GET" and "text/html" in headers.get("accept", "").lower()


@lru_cache(256)
def _is_json(content_type: str | None) -> bool:
    name, *parameters = (part.strip() for part in (content_type or "").lower().split(";"))
    charsets = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
    return name == JSON and all(charset in {"utf-8", "utf8"} for charset in charsets)


def _from_query(query: bytes) -> GraphQLRequest:
    try:
        pairs = (
            parse_qsl(query.decode("ascii"), strict_parsing=True, max_num_fields=_MAX_FIELDS)
            if query
            else []
        )
        given: dict[str, Any] = dict(pairs)
        if len(given) < len(pairs):
            raise ValueError("a parameter is given twice; give each once")  # noqa: TRY301
        for name in ("variables", "extensions"):
            if name in given:
                given[name] = decode_json(given[name].encode(), name)
    except ValueError as error:
        message = f"the parameters of the URL can't be parsed: {error}"
        raise _HttpError(400, bad_request(message)) from error
    return _request(given)


def _request(given: object) -> GraphQLRequest:
    try:
        return GraphQLRequest.of(given)
    except ApiError as error:
        raise _HttpError(400, error) from error
