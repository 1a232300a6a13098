"""GraphQL over WebSocket, by the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from contextlib import aclosing, suppress
from typing import Any

import psycopg
import structlog
from graphql import OperationType
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api import metrics
from api.errors import ApiError, limit_exceeded, unavailable
from api.graphql.caller import Authenticate, MakeContext, bearer, trace_of
from api.graphql.executor import Answer, Executor, InvalidRequestError, Operation, refusal
from api.graphql.http import dumps
from api.graphql.json_body import decode_json
from api.graphql.request import GraphQLRequest

_log = structlog.get_logger(__name__)

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
RECHECK_SECONDS = 5.0
"""How often a token is looked at again while nothing is delivered."""
WITHOUT_A_WORD = {1005, 1006}
"""Codes by RFC 6455, section 7.4.1: no close frame, or one that gives no code."""
MAX_OPERATIONS = 1_000
MAX_REASON = 120
"""Bytes; a close frame has room for 123."""


class _CloseError(Exception):
    """The connection is to be closed with this code of the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Commands:
    """What is under way on all sockets and will end by itself: queries and mutations."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.ending = False


class GraphQLOverWebSocket:
    """An ASGI application for WebSockets. ``connection_init`` carries the token."""

    def __init__(
        self, executor: Executor, authenticate: Authenticate, make_context: MakeContext
    ) -> None:
        self._executor = executor
        self._authenticate = authenticate
        self._make_context = make_context
        self._commands = _Commands()

    async def drain(self, seconds: float) -> None:
        """Take no more operations, and wait so long for queries and mutations to be answered.

        The server cuts its sockets when it ends, unlike requests over HTTP.
        """
        self._commands.ending = True
        # What was taken just now has yet to begin.
        await asyncio.sleep(0)
        if self._commands.tasks:
            await asyncio.wait(self._commands.tasks, timeout=seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until either side ends it."""
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
        self._trace = trace_of(socket.headers)
        self._token: str | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._cut: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._unsent = False

    async def serve(self) -> None:
        """Take messages until the end, then end every operation."""
        watching: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(INIT_SECONDS):
                await self._initialise()
            watching = asyncio.create_task(self._watch(), name="placet-token-watch")
            while True:
                await self._handle(await self._receive())
        except TimeoutError:
            await self._close(4408, "connection_init did not come in time")
        except _CloseError as error:
            await self._close(error.code, error.reason)
        except WebSocketDisconnect:
            await self._hear_out()
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
            raise _CloseError(4401, "connection_init must come first")
        payload = message.get("payload")
        given = payload.get("authorization") if isinstance(payload, dict) else None
        self._token = bearer(given if isinstance(given, str) else None)
        try:
            await self._principal()
        except psycopg.Error as error:
            _log.warning("token_not_looked_up", error=str(error))
            raise _CloseError(1013, "the database can't be reached; try again later") from error
        await self._send({"type": "connection_ack"})

    async def _principal(self) -> Any:
        """Give who the token belongs to now.

        Raises _CloseError if that is nobody, psycopg.Error if it can't be looked up.
        """
        principal = await self._authenticate(self._token)
        if principal is None:
            raise _CloseError(4401, "a valid token is needed, as authorization: Bearer ...")
        return principal

    async def _watch(self) -> None:
        """Close the connection once its token has ended, also while nothing is delivered."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            with suppress(psycopg.Error):
                if await self._authenticate(self._token) is None:
                    await self._close(4401, "the token was revoked or has expired")
                    return

    async def _received(self) -> Message:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            code = received.get("code", 1005)
            self._ended(cut=code in WITHOUT_A_WORD)
            raise WebSocketDisconnect(code)
        return received

    async def _hear_out(self) -> None:
        """Receive the last word, if a message could not be sent before it was heard."""
        with suppress(WebSocketDisconnect):
            while not self._cut.done():
                await self._received()

    async def _receive(self) -> dict[str, Any]:
        received = await self._received()
        text = received.get("text")
        if text is None:
            raise _CloseError(4400, "messages are text")
        try:
            message = decode_json(text.encode("utf-8", "surrogatepass"))
        except ValueError as error:
            raise _CloseError(4400, f"a message is no JSON: {error}") from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise _CloseError(4400, "a message is a JSON object with a type")
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
                raise _CloseError(4429, "connection_init came twice")
            case {"type": "subscribe", "id": str(id_), "payload": payload}:
                await self._subscribe(id_, payload)
            case {"type": "complete", "id": str(id_)}:
                if (task := self._operations.pop(id_, None)) is not None:
                    task.cancel()
            case {"type": type_}:
                raise _CloseError(4400, f"no message of the protocol: {type_}")

    async def _subscribe(self, id_: str, payload: object) -> None:
        if id_ in self._operations:
            raise _CloseError(4409, f"there is an operation {id_} already")
        try:
            if len(self._operations) >= MAX_OPERATIONS:
                raise limit_exceeded(f"a connection holds {MAX_OPERATIONS} operations at most")
            request = GraphQLRequest.of(payload)
        except ApiError as error:
            await self._refuse(id_, refusal(error))
            return
        if self._commands.ending:
            await self._refuse(id_, refusal(unavailable("the server is ending; try again")))
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
                await self._stream(id_, operation, request.variables)
            else:
                await self._answer(id_, operation, request.variables)
            await self._send({"type": "complete", "id": id_})
        except InvalidRequestError as error:
            await self._refuse(id_, error.answer)
        except _CloseError as error:
            await self._close(error.code, error.reason)
        except WebSocketDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 - it is logged, and the client is told
            await self._refuse(id_, refusal(error))

    async def _answer(
        self, id_: str, operation: Operation, variables: dict[str, Any] | None
    ) -> None:
        task = self._operations[id_]
        self._commands.tasks.add(task)
        try:
            answer = await self._executor.answer(operation, variables, await self._context())
            await self._send({"type": "next", "id": id_, "payload": answer.body})
        finally:
            self._commands.tasks.discard(task)

    async def _stream(
        self, id_: str, operation: Operation, variables: dict[str, Any] | None
    ) -> None:
        stream = self._executor.stream(operation, variables, await self._context())
        async with aclosing(stream):
            async for answer in stream:
                await self._send({"type": "next", "id": id_, "payload": answer.body})

    async def _context(self) -> Any:
        async def recheck() -> Any:
            return await self._authenticate(self._token)

        # Asked each time, so that a change of roles counts from the next operation on.
        return self._make_context(
            principal=await self._principal(),
            recheck=recheck,
            trace=self._trace,
            cut=self._was_cut,
        )

    async def _refuse(self, id_: str, answer: Answer) -> None:
        with suppress(WebSocketDisconnect):
            await self._send({"type": "error", "id": id_, "payload": answer.body["errors"]})

    @property
    def _open(self) -> bool:
        """Whether this side has not closed the connection, nor found it broken."""
        return self._socket.application_state is WebSocketState.CONNECTED

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._open:
            raise WebSocketDisconnect
        try:
            await self._socket.send_text(dumps(message).decode())
        except WebSocketDisconnect:
            self._unsent = True
            raise

    def _ended(self, *, cut: bool) -> None:
        if not self._cut.done():
            self._cut.set_result(cut)

    async def _was_cut(self) -> bool:
        """Say whether the connection broke off; that it did not, while it is open."""
        # Why nothing can be sent any more is what is received last.
        return await asyncio.shield(self._cut) if self._unsent or self._cut.done() else False

    async def _close(self, code: int, reason: str) -> None:
        self._ended(cut=False)
        if self._open:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close(code, _short(reason))


def _short(reason: str) -> str:
    return reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore")
