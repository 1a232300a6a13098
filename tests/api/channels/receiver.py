"""A receiver of messages: a real HTTP server on 127.0.0.1 that answers as a test says."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

from aiohttp import web

from tests.support.patience import HANGS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def verifies(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether a signature is right, by the section "Signature scheme" of Standard Webhooks.

    It is written from the specification, so it shares no mistake with the library that signs.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return expected in headers["webhook-signature"].split(" ")


class Received:
    """One request: its path, its headers in lower case, and its body."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.path = request.path
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = body

    @property
    def event(self) -> Any:
        """The CloudEvent in the body."""
        return json.loads(self.body)

    def signed_with(self, secret: str) -> bool:
        """Whether a signature is right."""
        return verifies(self.headers, self.body, secret)


class Receiver:
    """Use it as ``async with Receiver.open()``. ``answer`` makes the answer to each request.

    With ``tls`` it speaks HTTPS.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Handler = answering(204)
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, tls: SSLContext | None = None) -> AsyncIterator["Receiver"]:
        receiver = cls()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", receiver.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            host, port = runner.addresses[0][:2]
            receiver.url = f"{'http' if tls is None else 'https'}://{host}:{port}"
            yield receiver
        finally:
            await runner.cleanup()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.received.append(Received(request, await request.read()))
        return await self.answer(request)

    async def until(self, count: int) -> list[Received]:
        """Wait until there were this many requests, and return all."""
        async with asyncio.timeout(HANGS):
            while len(self.received) < count:
                await asyncio.sleep(0.01)
        return self.received


def answering(status: int, **headers: str) -> Handler:
    """Return a handler that answers with this status and these headers."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(
            status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    return handler
