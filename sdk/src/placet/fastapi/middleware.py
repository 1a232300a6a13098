"""The middleware that sends the responses of guards and records those of cleared endpoints."""

import asyncio
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from placet._util.texts import barred
from placet.approvals.clearance import Clearance
from placet.approvals.gate import Gate
from placet.errors import PlacetError
from placet.fastapi.early_response import EarlyResponse

log = logging.getLogger("placet.fastapi")

SLOT = "placet.cleared"

_KEPT_HEADERS = ("content-type", "content-encoding", "vary", "location")
_ERRORS = 400
_SERVER_ERRORS = 500


class EndpointError(PlacetError):
    """A cleared endpoint answered with a status of 500 or more."""


@dataclass
class Slot:
    """The clearance of one request. ``guarded``: the endpoint needs one.

    ``asked``: the endpoint has asked for it. ``answer``: what is answered if it did not get it.
    """

    guarded: bool = False
    asked: bool = False
    answer: Response | None = None
    gate: Gate | None = None
    clearance: Clearance | None = None
    name: str = ""

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Keep the response with which the endpoint is left in this block."""
        try:
            yield
        except EarlyResponse as answer:
            self.answer = answer.response
            raise

    async def complete(self, response: Any, instead: Any) -> bool:
        """Record the response, or something else. Returns whether the response could be recorded.

        Raises ValueError, InvalidInput or LimitExceeded if not even that could.
        """
        assert self.gate is not None
        assert self.clearance is not None
        recorded = await self.gate.complete(self.clearance, self.name, response, instead=instead)
        return bool(recorded == response)

    async def fail(self, error: BaseException) -> None:
        """Record that it failed."""
        assert self.gate is not None
        assert self.clearance is not None
        await self.gate.fail(self.clearance, self.name, error)


class ApprovalMiddleware:
    """Needed once around an application whose endpoints have a guard.

    The response of a cleared endpoint is recorded before it is sent: its status, body, content type
    and encoding, and location. An exception or a status of 500 or more is recorded as a failure. A
    response that can't be recorded, such as a very large one, is sent once and logged; a repeat
    gets its status, and a problem with the code RESPONSE_NOT_RECORDED as its body.

    A guarded endpoint that was not cleared can't answer with success: RuntimeError is raised
    instead, which gives a 500 and is logged.

    The response of a guard is raised as an exception, which other middlewares, dependencies and
    mounted applications may catch. It is sent even then.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        slot = Slot()
        scope[SLOT] = slot
        recorder = _Recorder(slot, send)
        try:
            await self.app(scope, receive, recorder.send)
        except EarlyResponse:
            await recorder.answer(scope, receive)
        except Exception as error:
            # An exception after the response was recorded, as of a background task, is another
            # matter.
            if slot.clearance is not None and not recorder.recorded:
                await slot.fail(error)
            await recorder.answer(scope, receive)
            raise
        else:
            await recorder.answer(scope, receive)


class _Recorder:
    """Sends a response. That of a cleared endpoint is kept until it is complete and recorded."""

    def __init__(self, slot: Slot, send: Send) -> None:
        self.recorded = False
        self._ignored = False
        self._slot = slot
        self._send = send
        self._held: list[Message] = []

    async def answer(self, scope: Scope, receive: Receive) -> None:
        """Send the response of the guard, if there is one, unless the endpoint went on anyway."""
        if self._slot.answer is not None and not self._ignored:
            await self._slot.answer(scope, receive, self._send)

    async def send(self, message: Message) -> None:
        if self._slot.clearance is None or self.recorded:
            self._check(message)
            if self._slot.answer is None or self._ignored:
                await self._send(message)
            return
        if message["type"] == "http.response.pathsend":
            # A file that the server would read. Its content is recorded like any body.
            content = await asyncio.to_thread(Path(message["path"]).read_bytes)
            message = {"type": "http.response.body", "body": content}
        self._held.append(message)
        if message["type"] != "http.response.body" or message.get("more_body", False):
            return
        # Set even if recording fails, so that nothing is recorded twice.
        self.recorded = True
        await self._record()
        for held in self._held:
            await self._send(held)

    def _check(self, message: Message) -> None:
        if not self._slot.guarded or self._slot.clearance is not None:
            return
        if message["type"] == "http.response.start" and message["status"] < _ERRORS:
            self._ignored = True
            msg = (
                f"a guarded endpoint answered {message['status']} without being cleared, so nobody"
                " agreed to what it did; it has to await guarded.cleared(...)"
            )
            raise RuntimeError(msg)

    async def _record(self) -> None:
        # Not always the first message: templates send debug information to test clients.
        start = next(each for each in self._held if each["type"] == "http.response.start")
        body = b"".join(each.get("body", b"") for each in self._held)
        status = start["status"]
        if status >= _SERVER_ERRORS:
            await self._slot.fail(EndpointError(f"the endpoint answered {status}"))
            return
        kept = _kept(status, Headers(raw=start.get("headers", [])), body)
        if not await self._slot.complete(kept, _done(kept)):
            # This client gets it. Its repeat gets the same status, which says that it was done.
            log.error(
                "%s answered %s with %d bytes, which can't be recorded: a repeat gets no body",
                self._slot.name,
                status,
                len(body),
            )


def _kept(status: int, headers: Headers, body: bytes) -> dict[str, Any]:
    # The body is kept as text even if it is JSON, so that it is sent again byte by byte, even with
    # numbers that I-JSON can't express.
    kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        # A file, or text that an inner middleware has compressed.
        text = None
    if text is None or barred(text):
        return {"status": status, "headers": kept, "base64": b64encode(body).decode()}
    return {"status": status, "headers": kept, "body": text}


def _done(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded of a response that the service does not take as it is."""
    status = kept["status"]
    told = {
        "status": status,
        "detail": f"this request was carried out; its response, with status {status}, can't be"
        " recorded and was sent only once",
        "code": "RESPONSE_NOT_RECORDED",
    }
    return {
        "status": status,
        "headers": {"content-type": "application/problem+json"},
        "body": json.dumps(told),
    }


def replayed(kept: Mapping[str, Any]) -> Response:
    """Return a recorded response."""
    body = b64decode(kept["base64"]) if "base64" in kept else kept["body"]
    return Response(body, kept["status"], headers=kept["headers"])
