"""Proxies between two processes, to cut or delay their connections."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Literal, Self
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo

SOCKET = ".s.PGSQL.5432"
UPGRADE = b"upgrade: websocket"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
OPENING = 2
"""What a client sends before its first subscription: the handshake, and connection_init."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Relays connections, on a thread and a loop of its own.

    ``cut`` cuts all connections; while ``down``, new ones are ``refused`` and counted, and while
    ``silent``, what the server answers is lost. ``lose_replies_to``: once a client sends this, it
    is passed on, and the connection is cut when the server has answered, before the client sees
    the answer.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.refused = 0
        self.down = False
        self.silent = False
        self._silenced: set[asyncio.StreamWriter] = set()
        self.lose_replies_to: bytes | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._started = Event()
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Relay until the end of the block."""
        thread = Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        thread.start()
        self._started.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._ended.set)
            thread.join()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Cut all connections that are open. Those at their ends can see it by the return."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def silence_open_connections(self) -> None:
        """Have no answer pass any more on the connections that are open now."""
        self._silenced |= self._writers

    async def _cut(self) -> None:
        self._abort()
        # A transport closes its socket one round of the loop after it was told to.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _listen(self) -> asyncio.Server:
        raise NotImplementedError

    async def _dial(self) -> Ends:
        raise NotImplementedError

    async def _upstream(
        self, client: Ends, server_out: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        """Pass on what the client sends; ``losing`` has the answer lost, and the connection cut."""
        raise NotImplementedError

    def _loses(self, data: bytes) -> bool:
        """Whether the answer to this is to be lost: it is to the first that it fits."""
        if self.lose_replies_to is None or self.lose_replies_to not in data:
            return False
        self.lose_replies_to = None
        return True

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await self._listen()
        self._started.set()
        await self._ended.wait()
        # One that is being accepted when its server is closed would be left open by asyncio.
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        self.down = True
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            self._abort()
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        server.close()

    async def _relay(
        self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter
    ) -> None:
        if self.down:
            self.refused += 1
            client_out.close()
            return
        try:
            server_in, server_out = await self._dial()
        except OSError:
            client_out.close()
            return
        ends = {client_out, server_out}
        self._writers |= ends
        losing = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._upstream((client_in, client_out), server_out, losing))
                group.create_task(self._downstream(server_in, client_out, losing))
        except* (OSError, EOFError):
            pass
        finally:
            self._writers -= ends
            for writer in ends:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _downstream(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while data := await source.read(65536):
            if losing.is_set():
                self.lost += 1
                break
            if self.silent or sink in self._silenced:
                continue
            sink.write(data)
            await sink.drain()
        raise EOFError


class Wire(Relay):
    """Leads to PostgreSQL, through a Unix socket of its own to the server's."""

    def __init__(self, url: str, directory: Path) -> None:
        super().__init__()
        fields = conninfo_to_dict(url)
        self._target = str(Path(str(fields["host"])) / f".s.PGSQL.{fields.get('port', 5432)}")
        self._directory = directory
        self.url = make_conninfo(url, host=str(directory), port=5432)

    @classmethod
    @contextmanager
    def open(cls, url: str, directory: Path) -> Iterator[Self]:
        """Run a wire until the end of the block."""
        with cls(url, directory).running() as wire:
            yield wire

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._relay, self._directory / SOCKET)

    async def _dial(self) -> Ends:
        return await asyncio.open_unix_connection(self._target)

    async def _upstream(
        self, client: Ends, server_out: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while data := await client[0].read(65536):
            if self._loses(data):
                losing.set()
            server_out.write(data)
            await server_out.drain()
        raise EOFError


class HttpWire(Relay):
    """Leads to an HTTP server, as a proxy on a port of its own.

    ``websockets``: "pass" lets them through, "refuse" answers them 403, "lose" cuts the connection
    in place of the handshake's answer, "cut" cuts it when the first subscription is sent.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        target = urlsplit(url)
        self._target = target.hostname, target.port
        self.url = ""
        self.websockets: Literal["pass", "refuse", "lose", "cut"] = "pass"
        self.handshakes = 0

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator[Self]:
        """Run a proxy until the end of the block."""
        with cls(url).running() as wire:
            yield wire

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return server

    async def _dial(self) -> Ends:
        return await asyncio.open_connection(*self._target)

    async def _upstream(
        self, client: Ends, server_out: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        sent = 0
        while data := await client[0].read(65536):
            if sent or UPGRADE in data.lower():
                sent += 1
                self.handshakes += sent == 1
            if sent and self.websockets == "refuse":
                client[1].write(FORBIDDEN)
                await client[1].drain()
                break
            if self._loses(data) or (sent and self.websockets == "lose"):
                losing.set()
            if sent > OPENING and self.websockets == "cut":
                break
            server_out.write(data)
            await server_out.drain()
        raise EOFError
