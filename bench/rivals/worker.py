"""A worker process, as the measuring process sees it, and the reports of all workers."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.rivals.channel import NONE


class WorkerError(Exception):
    """A worker ended unexpectedly."""


class Reports:
    """When each lifecycle reached which point, in nanoseconds. Each report is read once.

    The points are ``waits``, at the decision; ``woke``, on the line after it; ``done``, on the
    last line. A repeated report, for example by a replay, changes nothing until it was read.
    """

    def __init__(self) -> None:
        self.details: dict[str, str] = {}
        self._reached: dict[tuple[str, str], asyncio.Future[int]] = {}
        self._broken: WorkerError | None = None

    def note(self, what: str, lifecycle: str, at: int, more: str = NONE) -> None:
        """Store a report. ``more`` is stored among the details."""
        if more != NONE:
            self.details[lifecycle] = more
        reached = self._future(what, lifecycle)
        if not reached.done():
            reached.set_result(at)

    def waits(self, lifecycle: str) -> None:
        """Note that a lifecycle waits, as of now."""
        self.note("waits", lifecycle, time.perf_counter_ns())

    async def reached(self, what: str, lifecycle: str) -> int:
        """Wait until a lifecycle has reached a point. Raises WorkerError if a worker has failed."""
        if self._broken is not None:
            raise self._broken
        try:
            return await self._future(what, lifecycle)
        finally:
            self._reached.pop((what, lifecycle), None)

    def fail(self, error: WorkerError) -> None:
        """Raise this error in everything that waits, now or later."""
        self._broken = error
        for reached in self._reached.values():
            if not reached.done():
                reached.set_exception(error)
                # Read it, because maybe nothing waits for it.
                reached.exception()

    def _future(self, what: str, lifecycle: str) -> asyncio.Future[int]:
        key = (what, lifecycle)
        if key not in self._reached:
            self._reached[key] = asyncio.get_running_loop().create_future()
        return self._reached[key]


class Worker:
    """One worker process."""

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
        """Start a worker that loads everything and then waits. End it after the block."""
        reads, writes = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, str(writes), *arguments),
                stdin=asyncio.subprocess.PIPE,
                # Its output must not be mixed with the results.
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
        """Let the worker start, and wait until it has."""
        self.tell("go")
        await self._wait_for_report("ready")

    def tell(self, *words: str) -> None:
        """Send the worker a command."""
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(words) + "\n").encode())

    async def kill9(self) -> None:
        """Kill the worker with SIGKILL."""
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
            # Killed, because a worker with thousands of lifecycles would take long to end in order.
            self._process.kill()
        await self._process.wait()
