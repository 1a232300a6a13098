"""A wire between a process and PostgreSQL that can be cut at the worst moment."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

SOCKET = ".s.PGSQL.5432"


class Wire:
    """Relays connections through a Unix socket of its own to the server's.

    ``lose_replies_to``: once a client sends this, it is passed on, and the connection is cut when
    the server has answered, before the client sees the answer. ``cut`` cuts all connections;
    while ``down``, new ones are refused.
    """

    def __init__(self, url: str, directory: Path) -> None:
        fields = conninfo_to_dict(url)
        self._target = str(Path(str(fields["host"])) / f".s.PGSQL.{fields.get('port', 5432)}")
        self._directory = directory
        self.url = make_conninfo(url, host=str(directory), port=5432)
        self.lose_replies_to: bytes | None = None
        self.lost = 0
        self.down = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self._started = Event()
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Event

    @classmethod
    @contextmanager
    def open(cls, url: str, directory: Path) -> Iterator[Self]:
        """Run a wire on a thread and a loop of its own, until the end of the block."""
        wire = cls(url, directory)
        thread = Thread(target=asyncio.run, args=(wire._serve(),), daemon=True)
        thread.start()
        wire._started.wait()
        try:
            yield wire
        finally:
            wire._loop.call_soon_threadsafe(wire._ended.set)
            thread.join()

    def cut(self) -> None:
        """Cut all connections that are open."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_unix_server(self._relay, self._directory / SOCKET)
        self._started.set()
        await self._ended.wait()
        server.close()
        self._abort()
        await asyncio.gather(*self._relays)

    async def _relay(
        self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter
    ) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        if self.down:
            client_out.close()
            return
        server_in, server_out = await asyncio.open_unix_connection(self._target)
        ends = {client_out, server_out}
        self._writers |= ends
        losing = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._upstream(client_in, server_out, losing))
                group.create_task(self._downstream(server_in, client_out, losing))
        except* (OSError, EOFError):
            pass
        finally:
            self._writers -= ends
            for writer in ends:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _upstream(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while data := await source.read(65536):
            if self.lose_replies_to is not None and self.lose_replies_to in data:
                self.lose_replies_to = None
                losing.set()
            sink.write(data)
            await sink.drain()
        raise EOFError

    async def _downstream(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while data := await source.read(65536):
            if losing.is_set():
                self.lost += 1
                break
            sink.write(data)
            await sink.drain()
        raise EOFError
