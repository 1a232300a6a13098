"""GraphQL over WebSocket, by the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from contextlib import aclosing, suppress
from typing import Any, Protocol

import psycopg
import structlog
from graphql import OperationType
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api import metrics
from api.errors import ApiError, limit_exceeded, unavailable
from api.graphql.caller import (
    CONNECTION,
    Authenticate,
    Identifiable,
    MakeContext,
    RequestContext,
    token_of,
    trace_of,
)
from api.graphql.executor import Answer, Executor, InvalidRequestError, Operation, refusal
from api.graphql.http import dumps
from api.graphql.json_body import decode_json
from api.graphql.request import GraphQLRequest, Traces

_log = structlog.get_logger(__name__)

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
RECHECK_SECONDS = 5.0
"""Seconds between two checks of the token on an idle connection."""
NO_CLOSE_CODE = {1005, 1006}
"""Codes of RFC 6455, section 7.4.1: no close frame came, or one without a code."""
MAX_OPERATIONS = 1_000
MESSAGES_AT_ONCE = 8
"""Messages of a client after which others have their turn."""
LARGE = 64 * 1024
"""Bytes of a message that counts as sent only when the client has read most of it."""
MAX_REASON = 120
"""Bytes of a reason. A close frame has room for 123."""


class Wire(Identifiable, Protocol):
    """What this application needs of the connection beside ASGI."""

    async def drained(self) -> None:
        """Wait until the client has read most of what was sent."""


class _CloseError(Exception):
    """The connection must be closed with this code of the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Commands:
    """The queries and mutations that are running, on all sockets."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.ending = False


class GraphQLOverWebSocket:
    """An ASGI application for WebSockets. ``connection_init`` carries the token, or the request."""

    def __init__(
        self, executor: Executor, authenticate: Authenticate, make_context: MakeContext
    ) -> None:
        self._executor = executor
        self._authenticate = authenticate
        self._make_context = make_context
        self._commands = _Commands()

    async def drain(self, seconds: float) -> None:
        """Accept no more operations, and wait for running queries and mutations.

        It waits at most this long. uvicorn waits for HTTP requests, but closes WebSockets at once.
        """
        self._commands.ending = True
        # Operations that were accepted just now have not started yet.
        await asyncio.sleep(0)
        if self._commands.tasks:
            await asyncio.wait(self._commands.tasks, timeout=seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until either side closes it."""
        socket = WebSocket(scope, receive, send)
        if PROTOCOL not in scope["subprotocols"]:
            await socket.accept()
            await socket.close(4406, f"the subprotocol must be {PROTOCOL}")
            return
        await socket.accept(PROTOCOL)
        with metrics.SOCKETS.track_inprogress():
            await _Connection(
                socket,
                self._executor,
                self._authenticate,
                self._make_context,
                self._commands,
            ).serve()


class _Connection:
    def __init__(
        self,
        socket: WebSocket,
        executor: Executor,
        authenticate: Authenticate,
        make_context: MakeContext,
        commands: _Commands,
    ) -> None:
        self._commands = commands
        self._socket = socket
        self._executor = executor
        self._authenticate = authenticate
        self._make_context = make_context
        # None in tests that call the application without a connection.
        self._wire: Wire | None = socket.scope.get("extensions", {}).get(CONNECTION)
        self._trace = trace_of(socket.headers)
        self._token: str | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._cut: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._unsent = False
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Handle messages until the connection closes, then cancel every operation."""
        watching: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(INIT_SECONDS):
                await self._initialise()
            watching = asyncio.create_task(self._watch(), name="placet-token-watch")
            handled = 0
            while True:
                await self._handle(await self._receive())
                handled += 1
                if handled % MESSAGES_AT_ONCE == 0:
                    # Many may have come together. What they start would all run in one pass.
                    await asyncio.sleep(0)
        except TimeoutError:
            await self._close(4408, f"connection_init must come within {INIT_SECONDS:g} seconds")
        except _CloseError as error:
            await self._close(error.code, error.reason)
        except WebSocketDisconnect:
            await self._receive_disconnect()
        finally:
            self._ended(cut=False)
            tasks = [*self._operations.values(), *([watching] if watching else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _initialise(self) -> None:
        message = await self._receive()
        while message["type"] in {"ping", "pong"}:
            await self._handle(message)
            message = await self._receive()
        if message["type"] != "connection_init":
            raise _CloseError(4401, "the first message must be connection_init")
        self._token = token_of(message.get("payload"), self._socket.headers)
        try:
            await self._principal()
        except psycopg.Error as error:
            _log.warning("token_lookup_failed", error=str(error))
            raise _CloseError(1013, "the database can't be reached; try again later") from error
        except ApiError as error:
            raise _CloseError(1013, error.message) from error
        if self._wire is not None:
            self._wire.identified()
        await self._send({"type": "connection_ack"})

    async def _principal(self) -> Any:
        """Return the current principal of the token.

        Raises _CloseError if the token is not valid, psycopg.Error if the database is away, and
        ApiError if what the token needs is.
        """
        principal = await self._authenticate(self._token)
        if principal is None:
            raise _CloseError(
                4401, "connection_init needs a valid token as authorization: Bearer ..."
            )
        return principal

    async def _watch(self) -> None:
        """Close the connection once its token is no longer valid, also while it is idle."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            with suppress(psycopg.Error, ApiError):
                if await self._authenticate(self._token) is None:
                    await self._close(4401, "the token was revoked or has expired")
                    return

    async def _received(self) -> Message:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            code = received.get("code", 1005)
            self._ended(cut=code in NO_CLOSE_CODE)
            raise WebSocketDisconnect(code)
        return received

    async def _receive_disconnect(self) -> None:
        """Receive the disconnect, if sending failed before it was received."""
        with suppress(WebSocketDisconnect):
            while not self._cut.done():
                await self._received()

    async def _receive(self) -> dict[str, Any]:
        received = await self._received()
        text = received.get("text")
        if text is None:
            raise _CloseError(4400, "messages must be text, not binary")
        try:
            message = decode_json(text.encode("utf-8", "surrogatepass"), "the message")
        except ValueError as error:
            raise _CloseError(4400, str(error)) from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise _CloseError(4400, "a message must be a JSON object with a type")
        return message

    async def _handle(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "ping"}:
                given = message.get("payload")
                payload = {} if given is None else {"payload": given}
                await self._send({"type": "pong", **payload})
            case {"type": "pong"}:
                pass
            case {"type": "connection_init"}:
                raise _CloseError(4429, "connection_init was already sent")
            case {"type": "subscribe", "id": str(id_), "payload": payload}:
                await self._subscribe(id_, payload)
            case {"type": "complete", "id": str(id_)}:
                if (task := self._operations.pop(id_, None)) is not None:
                    task.cancel()
            case {"type": type_}:
                raise _CloseError(4400, f"unknown or malformed message of the type {type_}")

    async def _subscribe(self, id_: str, payload: object) -> None:
        if id_ in self._operations:
            raise _CloseError(4409, f"an operation with the id {id_} is already running")
        try:
            if len(self._operations) >= MAX_OPERATIONS:
                raise limit_exceeded(
                    f"the connection already has {MAX_OPERATIONS} operations, which is the limit"
                )
            request = GraphQLRequest.of(payload)
        except ApiError as error:
            await self._refuse(id_, refusal(error))
            return
        if self._commands.ending:
            await self._refuse(id_, refusal(unavailable("the server is shutting down; try again")))
            return
        task = asyncio.create_task(self._run(id_, request), name="placet-operation")
        self._operations[id_] = task
        task.add_done_callback(lambda _: self._forget(id_, task))

    def _forget(self, id_: str, task: asyncio.Task[None]) -> None:
        if self._operations.get(id_) is task:
            del self._operations[id_]

    async def _run(self, id_: str, request: GraphQLRequest) -> None:
        try:
            operation = self._executor.prepare(request)
            if operation.type is OperationType.SUBSCRIPTION:
                await self._stream(id_, operation, request)
            else:
                await self._answer(id_, operation, request)
            await self._send({"type": "complete", "id": id_})
        except InvalidRequestError as error:
            await self._refuse(id_, error.answer)
        except _CloseError as error:
            await self._close(error.code, error.reason)
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - it is logged, and the client gets an error
            await self._refuse(id_, refusal(error))

    async def _answer(self, id_: str, operation: Operation, request: GraphQLRequest) -> None:
        task = self._operations[id_]
        self._commands.tasks.add(task)
        context = await self._context(request.traces)
        try:
            answer = await self._executor.answer(operation, request.variables, context)
            text = dumps({"type": "next", "id": id_, "payload": answer.body})
            context.hold(len(text))
            await self._send_text(text)
        finally:
            context.finish()
            self._commands.tasks.discard(task)

    async def _stream(self, id_: str, operation: Operation, request: GraphQLRequest) -> None:
        context = await self._context(request.traces)
        try:
            async with aclosing(
                self._executor.stream(operation, request.variables, context)
            ) as stream:
                while True:
                    # A message is made when the client reads, so that none is kept for it.
                    await self._drained()
                    answer = await anext(stream, None)
                    if answer is None:
                        return
                    await self._send({"type": "next", "id": id_, "payload": answer.body})
        finally:
            context.finish()

    async def _drained(self) -> None:
        if self._wire is not None:
            async with self._sending:
                await self._wire.drained()

    async def _context(self, traces: Traces) -> RequestContext:
        async def recheck() -> Any:
            return await self._authenticate(self._token)

        # Checked for each operation, so that changed roles take effect with the next one.
        return self._make_context(
            principal=await self._principal(),
            recheck=recheck,
            traces=traces.within(self._trace),
            cut=self._was_cut,
        )

    async def _refuse(self, id_: str, answer: Answer) -> None:
        with suppress(WebSocketDisconnect):
            await self._send({"type": "error", "id": id_, "payload": answer.body["errors"]})

    @property
    def _open(self) -> bool:
        """Whether this side has neither closed the connection nor found it broken."""
        return self._socket.application_state is WebSocketState.CONNECTED

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(dumps(message))

    async def _send_text(self, text: bytes) -> None:
        # One after the other: when the client reads again, all that wait would send at once.
        async with self._sending:
            if not self._open:
                raise WebSocketDisconnect
            try:
                await self._socket.send_text(text.decode())
                if self._wire is not None and len(text) > LARGE:
                    await self._wire.drained()
            except WebSocketDisconnect:
                self._unsent = True
                raise

    def _ended(self, *, cut: bool) -> None:
        if not self._cut.done():
            self._cut.set_result(cut)

    async def _was_cut(self) -> bool:
        """Return whether the connection broke; False while it is open."""
        # If sending failed, the reason is in the last message that is received.
        return await asyncio.shield(self._cut) if self._unsent or self._cut.done() else False

    async def _close(self, code: int, reason: str) -> None:
        self._ended(cut=False)
        if self._open:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close(code, _short(reason))


def _short(reason: str) -> str:
    return reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore")
