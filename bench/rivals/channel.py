"""A worker's two pipes: one for its reports to the measuring process, one for commands from it.

A report is one line, ``what lifecycle nanoseconds more``, with the time of a clock that all
processes share. A command is one line on standard input. When standard input is closed the worker
ends, so it does not outlive the measuring process.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator

NONE = "-"


class Channel:
    """The worker's end of both pipes. The file descriptor for reports is the first argument."""

    def __init__(self) -> None:
        self._reports = int(sys.argv[1])
        self._commands: asyncio.StreamReader | None = None

    def report(self, what: str, lifecycle: str = NONE, more: str = NONE) -> None:
        """Send a report. Any thread may call it, because such a short line is written at once."""
        line = f"{what} {lifecycle} {time.perf_counter_ns()} {more}\n"
        os.write(self._reports, line.encode())

    async def wait_for_start(self) -> None:
        """Report that everything is loaded, and wait for the command to start."""
        self._commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._commands or asyncio.StreamReader()),
            sys.stdin,
        )
        self.report("loaded")
        await self._commands.readline()

    async def commands(self) -> AsyncIterator[list[str]]:
        """Yield each command as a list of words, until standard input is closed."""
        assert self._commands is not None, "wait_for_start comes first"
        async for line in self._commands:
            yield line.decode().split()
