"""A worker's process, seen by the measuring process, and the reports of what workers reported."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.rivals.channel import NONE


class WorkerError(Exception):
    """A worker ended by itself."""


class Reports:
    """When which lifecycle came to which point, in nanoseconds; each is asked for once.

    The points are ``waits``, at the decision; ``woke``, on the line after it; ``done``, on the
    last line. What is reported again, by a replay say, changes nothing before it was asked for.
    """

    def __init__(self) -> None:
        self.details: dict[str, str] = {}
        self._reached: dict[tuple[str, str], asyncio.Future[int]] = {}
        self._broken: WorkerError | None = None

    def note(self, what: str, lifecycle: str, at: int, more: str = NONE) -> None:
        """Take a report; ``more`` is kept as what was told of it."""
        if more != NONE:
            self.details[lifecycle] = more
        reached = self._future(what, lifecycle)
        if not reached.done():
            reached.set_result(at)

    def waits(self, lifecycle: str) -> None:
        """Note that a lifecycle waits, as of now."""
        self.note("waits", lifecycle, time.perf_counter_ns())

    async def reached(self, what: str, lifecycle: str) -> int:
        """Wait until a lifecycle has come to a point. Raises WorkerError if no worker is left."""
        if self._broken is not None:
            raise self._broken
        try:
            return await self._future(what, lifecycle)
        finally:
            self._reached.pop((what, lifecycle), None)

    def fail(self, error: WorkerError) -> None:
        """Have everybody who waits, now or later, get this error."""
        self._broken = error
        for reached in self._reached.values():
            if not reached.done():
                reached.set_exception(error)
                # Nobody may be waiting for it.
                reached.exception()

    def _future(self, what: str, lifecycle: str) -> asyncio.Future[int]:
        key = (what, lifecycle)
        if key not in self._reached:
            self._reached[key] = asyncio.get_running_loop().create_future()
        return self._reached[key]


class Worker:
    """One worker process. Its reports go to the reports until it is ended."""

    def __init__(self, process: asyncio.subprocess.Process, reports: Reports) -> None:
        self._process = process
        self._reports = reports
        self._name = str(process.pid)
        self._ended = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @classmethod
    @asynccontextmanager
    async def load(
        cls, module: str, arguments: Sequence[str], reports: Reports
    ) -> AsyncIterator["Worker"]:
        """Start a worker that has everything loaded and does nothing yet; end it afterwards."""
        reads, writes = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, str(writes), *arguments),
                stdin=asyncio.subprocess.PIPE,
                # What it prints must not get among our results.
                stdout=sys.stderr,
                pass_fds=[writes],
            )
        finally:
            os.close(writes)
        worker = cls(process, reports)
        reading = asyncio.create_task(worker._read(reads))
        try:
            await worker._wait_for_report("loaded")
            yield worker
        finally:
            await worker._end()
            await reading

    async def go(self) -> None:
        """Have it begin its work, and wait until it has."""
        self.tell("go")
        await self._wait_for_report("ready")

    def tell(self, *words: str) -> None:
        """Send it a command."""
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(words) + "\n").encode())

    async def kill9(self) -> None:
        """Kill it without warning."""
        self._ended = True
        self._process.kill()
        await self._process.wait()

    async def _wait_for_report(self, what: str) -> None:
        await self._reports.reached(what, self._name)

    async def _read(self, pipe: int) -> None:
        reader = asyncio.StreamReader()
        with os.fdopen(pipe, "rb") as file:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), file
            )
            async for line in reader:
                what, lifecycle, at, more = line.decode().split()
                self._reports.note(
                    what, self._name if lifecycle == NONE else lifecycle, int(at), more
                )
            transport.close()
        if not self._ended:
            code = await self._process.wait()
            self._reports.fail(WorkerError(f"a worker ended by itself, with exit code {code}"))

    async def _end(self) -> None:
        self._ended = True
        if self._process.returncode is None:
            # A worker that holds thousands of lifecycles has no reason to give them back in order.
            self._process.kill()
        await self._process.wait()
