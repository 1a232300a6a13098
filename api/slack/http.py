"""Slack's requests over HTTP, with its signature. They need an address that Slack can reach.

https://docs.slack.dev/authentication/verifying-requests-from-slack describes the signature, version
v0: an HMAC with SHA-256 of the time and the body as they were sent. A request older than five
minutes is refused.
"""

from urllib.parse import parse_qs

import msgspec
import structlog
from slack_sdk.signature import SignatureVerifier
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from api.slack.interactions import Interactions

_log = structlog.get_logger(__name__)

PATH = "/slack/interactions"
MAX_BODY = 1024 * 1024
_MAX_FIELDS = 10


class SlackRequests:
    """The ASGI application at PATH."""

    def __init__(self, signing_secret: str, interactions: Interactions) -> None:
        self._verifier = SignatureVerifier(signing_secret)
        self._interactions = interactions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of Slack, and refuse all others."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method != "POST":
            return PlainTextResponse("POST only", 405, {"allow": "POST"})
        body = await _body(request)
        if body is None:
            return PlainTextResponse(f"the body must have at most {MAX_BODY} bytes", 413)
        if not self._signed(body, request):
            # Said to nobody in detail: who does not have the secret learns nothing.
            _log.warning("slack_signature_refused")
            return PlainTextResponse("the signature is wrong or too old", 401)
        try:
            fields = parse_qs(body.decode(), max_num_fields=_MAX_FIELDS)
            payload = msgspec.json.decode(fields["payload"][0], type=dict)
        except (KeyError, ValueError):
            return PlainTextResponse("the body must be a form with a payload in JSON", 400)
        answer = await self._interactions.receive(payload)
        return JSONResponse(answer) if answer else Response()

    def _signed(self, body: bytes, request: Request) -> bool:
        try:
            return self._verifier.is_valid(
                body,
                request.headers.get("x-slack-request-timestamp"),
                request.headers.get("x-slack-signature"),
            )
        except (ValueError, TypeError):
            # A time that is no number, a body that is no text, or a signature beyond ASCII.
            return False


async def _body(request: Request) -> bytes | None:
    """Return the body, None if it is too large or the client hung up."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY:
                return None
            parts.append(part)
    except ClientDisconnect:
        return None
    return b"".join(parts)
