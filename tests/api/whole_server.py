"""A whole server in this process. The tests call its ASGI application, as uvicorn does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import psycopg

from api.container import Container, serve
from api.settings import Settings
from application.api_keys import ApiKeys
from domain.identifiers import person_stream_id
from domain.values import Principal
from tests.domain.people import ANN, ENGINE, OLIVIA
from tests.support.patience import HANGS

TOKENS = {"olivia": OLIVIA, "ann": ANN, "engine": ENGINE}
"""Development tokens. Each is the first name of its principal."""

START = """
mutation ($input: StartExecutionInput!) {
  startExecution(input: $input) {
    __typename
    ... on Refused { code message }
    execution { id }
  }
}
"""


class WholeServer:
    """A server with HTTP and WebSocket. Use it as ``async with WholeServer.open(url)``."""

    def __init__(self, url: str, built: Container, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http
        self.pool = built.pool
        self.keys = ApiKeys(built.pool, built.services.writer)
        self.dispatcher = built.services.dispatcher
        self.directory = built.services.directory
        self.reader = built.services.reader
        self.app = built.app

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, mode: str = "development", **options: Any
    ) -> AsyncIterator["WholeServer"]:
        settings = Settings.read(database_url=url, mode=mode, **options)
        people: dict[str, Principal] = TOKENS if mode == "development" else {}
        async with serve(settings, url, people) as built:
            transport = httpx.ASGITransport(built.app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://placet", timeout=60
            ) as http:
                yield cls(url, built, http)

    async def post(self, body: Any, token: str | None = "olivia", **headers: str) -> httpx.Response:
        """Post to ``/graphql``: an object as JSON, or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json"}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(
            "/graphql", content=content, headers={n: v for n, v in given.items() if v}
        )

    async def events_of(self, person: str) -> list[dict[str, str]]:
        """Return the actors of the events of a person, in order."""
        stream = person_stream_id(person)
        return [
            {"id": each.recorded.actor.id, "topic": each.topic}
            for each in await self.reader.history(stream)
        ]

    def recorded(self) -> int:
        """Return the number of events in the log."""
        with psycopg.connect(self.url) as connection:
            [number] = connection.execute("SELECT count(*) FROM execution_events").fetchone() or ()
            return int(number)

    @asynccontextmanager
    async def socket(
        self,
        token: str | None = "olivia",
        *,
        protocol: str = "graphql-transport-ws",
        **headers: str,
    ) -> AsyncIterator["Socket"]:
        """Open a WebSocket. With a token, also wait until the server has accepted the token."""
        socket = Socket()
        serving = asyncio.create_task(self._serve(socket, protocol, headers))
        try:
            assert (await socket.next_asgi_message())["type"] == "websocket.accept"
            if token is not None:
                await socket.send("connection_init", payload={"authorization": f"Bearer {token}"})
                assert await socket.receive() == {"type": "connection_ack"}
            yield socket
        finally:
            socket.disconnect(1000)
            async with asyncio.timeout(HANGS):
                await serving

    async def _serve(self, socket: "Socket", protocol: str, headers: dict[str, str]) -> None:
        scope = {
            "type": "websocket",
            "path": "/graphql",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "query_string": b"",
            "subprotocols": [protocol],
        }
        with suppress(asyncio.CancelledError):
            await self.app(scope, socket.to_server.get, socket.deliver)


class Socket:
    """The client's end of a WebSocket. While it is ``broken``, the server can't send to it."""

    def __init__(self) -> None:
        self.broken = False
        self.failed = asyncio.Event()
        self.to_server: asyncio.Queue[Any] = asyncio.Queue()
        self.from_server: asyncio.Queue[Any] = asyncio.Queue()
        self.to_server.put_nowait({"type": "websocket.connect"})

    async def deliver(self, message: Any) -> None:
        if self.broken:
            self.failed.set()
            raise OSError
        await self.from_server.put(message)

    def disconnect(self, code: int) -> None:
        """Tell the server that the connection was closed with this code."""
        self.to_server.put_nowait({"type": "websocket.disconnect", "code": code})

    async def send(self, kind: str, **message: Any) -> None:
        await self.send_text(json.dumps({"type": kind, **message}))

    async def send_text(self, text: str) -> None:
        self.to_server.put_nowait({"type": "websocket.receive", "text": text})

    async def next_asgi_message(self) -> Any:
        async with asyncio.timeout(HANGS):
            return await self.from_server.get()

    async def receive(self) -> Any:
        """Return the next message of the protocol."""
        message = await self.next_asgi_message()
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def closed(self) -> tuple[int, str]:
        """Return the code and reason with which the server closes the connection."""
        message = await self.next_asgi_message()
        assert message["type"] == "websocket.close", message
        return message["code"], message["reason"]
