"""A service of which each answer is told by the test, over real HTTP and WebSockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, web

from tests.support.patience import HANGS

Post = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Conversation:
    """One connection: the subscriptions that it asked for, and what is told to them."""

    socket: web.WebSocketResponse
    frames: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    async def subscription(self) -> tuple[str, dict[str, Any]]:
        """Wait for a ``subscribe`` and give its id and variables."""
        frame = await self.expect("subscribe")
        return frame["id"], frame["payload"]["variables"]

    async def expect(self, kind: str) -> dict[str, Any]:
        """Wait for a frame of a type, passing over others."""
        async with asyncio.timeout(HANGS):
            while (frame := await self.frames.get())["type"] != kind:
                pass
        return frame

    async def next(self, key: str, result: Any) -> None:
        await self.send(id=key, type="next", payload={"data": {"result": result}})

    async def error(self, key: str, code: str) -> None:
        errors = [{"message": f"it is {code}", "extensions": {"code": code}}]
        await self.send(id=key, type="error", payload=errors)

    async def send(self, **frame: Any) -> None:
        await self.socket.send_json(frame)

    async def hang_up(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        await self.socket.close(code=code)


@dataclass
class Peer:
    """``post`` answers HTTP; each WebSocket becomes one of ``conversations``."""

    url: str = ""
    post: Post | None = None
    accept: Callable[[dict[str, Any]], bool] = lambda _: True
    posts: int = 0
    conversations: asyncio.Queue[Conversation] = field(default_factory=asyncio.Queue)

    async def conversation(self) -> Conversation:
        """Wait for the next connection."""
        async with asyncio.timeout(HANGS):
            return await self.conversations.get()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            self.posts += 1
            assert self.post is not None
            return await self.post(request)
        return await self._converse(request)

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("graphql-transport-ws",))
        await socket.prepare(request)
        opening = await socket.receive_json()
        if not self.accept(opening):
            await socket.close(code=4401, message=b"Unauthorized")
            return socket
        await socket.send_json({"type": "connection_ack"})
        conversation = Conversation(socket)
        self.conversations.put_nowait(conversation)
        async for message in socket:
            conversation.frames.put_nowait(message.json())
        return socket


@asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[Peer]:
    """Serve on a free port of this machine."""
    application = web.Application()
    application.router.add_route("*", "/graphql", peer.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        peer.url = f"http://{host}:{port}"
        yield peer
    finally:
        await runner.cleanup()
