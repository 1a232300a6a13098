"""A worker's two pipes: what it reports to the measuring process, and what that tells it.

A report is one line, ``what lifecycle nanoseconds more``, of the clock that all processes share. A
command is one line on standard input. Its end is the end of the worker: a worker whose measuring
process is gone does not stay.
"""

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator

NONE = "-"


def without_pauses() -> None:
    """Spare the garbage collector what is loaded: walking through it stops all for 50 ms."""
    gc.collect()
    gc.freeze()


class Channel:
    """The worker's end of both pipes, whose descriptor is the first argument of its command."""

    def __init__(self) -> None:
        self._reports = int(sys.argv[1])
        self._commands: asyncio.StreamReader | None = None

    def report(self, what: str, lifecycle: str = NONE, more: str = NONE) -> None:
        """Say what has come about: a line this short is written whole, from any thread."""
        line = f"{what} {lifecycle} {time.perf_counter_ns()} {more}\n"
        os.write(self._reports, line.encode())

    async def wait_for_start(self) -> None:
        """Say that all is loaded, and wait for the word to begin."""
        self._commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._commands or asyncio.StreamReader()),
            sys.stdin,
        )
        without_pauses()
        self.report("loaded")
        await self._commands.readline()

    async def commands(self) -> AsyncIterator[list[str]]:
        """Return each command as its words, until the measuring process ends or lets go."""
        assert self._commands is not None, "wait_for_start comes first"
        async for line in self._commands:
            yield line.decode().split()
