"""Keeps inboxes open: live streams of the console, each on a connection of its own."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

from bench.stack import Stack

STREAM = "/inbox/stream?folder="


class OpenInbox:
    """One live stream. The messages come one after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, cookie: str) -> AsyncIterator["OpenInbox"]:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = (
            f"GET {STREAM} HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookie}\r\n"
            "Accept: text/event-stream\r\n\r\n"
        )
        writer.write(head.encode())
        try:
            status = await reader.readline()
            assert b" 200 " in status, status
            # The first line of the stream says that it follows.
            await reader.readuntil(b"retry:")
            yield cls(reader, writer)
        finally:
            writer.close()

    async def until(self, text: bytes) -> None:
        """Read until a message has the text."""
        while text not in await self._reader.readline():
            pass

    async def drain(self) -> None:
        """Read and forget all messages, until the server ends the stream."""
        while await self._reader.read(65_536):
            pass


@contextmanager
def open_inboxes(server: Stack, cookie: str, number: int) -> Iterator[None]:
    """Keep so many inboxes open during the block, in another process."""
    command = [sys.executable, "-m", "bench.open_inboxes", server.url, cookie, str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield
        finally:
            process.terminate()


async def main(url: str, cookie: str, number: int) -> None:
    """Open them, and read what comes until the process is ended."""
    opened = [OpenInbox.open(url, cookie) for _ in range(number)]
    inboxes = await asyncio.gather(*(one.__aenter__() for one in opened))
    print("open", flush=True)
    await asyncio.gather(*(inbox.drain() for inbox in inboxes))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
