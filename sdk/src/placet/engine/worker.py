"""The engine: claims executions and runs their workflows, in one process and one event loop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self, overload
from uuid import uuid4

import msgspec

from placet.client import environment
from placet.client.changes import Mode, check_mode
from placet.client.client import Client
from placet.client.leases import GRACE
from placet.client.mutations import settled
from placet.client.transport.operations.commands import NOTE
from placet.engine.command_batcher import CommandBatcher, Result
from placet.engine.execution_pool import ExecutionPool
from placet.engine.loop_watchdog import watch
from placet.engine.registry import WorkflowFunction, WorkflowRegistry
from placet.engine.work_source import WorkSource
from placet.models.rules import DEFAULT_LEASE, MIN_LEASE

log = logging.getLogger("placet.engine")

PUT_AWAY = timedelta(minutes=1)
DRAIN = timedelta(seconds=10)


class Engine:
    """Runs workflows for one service.

    ``url``: its address or addresses, and ``token``; if they are not given they are found as by
    :class:`placet.Client`, in development the token of the engine.
    ``worker`` names this process to the service. No other process may use the name; by default it
    is generated.
    ``capacity``: how many executions it takes at once, not counting those that wait, and how many
    steps get a thread at once. ``lease``: for how long it keeps its executions while it is neither
    connected nor heard of. ``grace``: for how long after its connection broke, as it does when this
    process is killed, and it was not heard of since; None: for the whole lease. ``wait``: how it
    gets its work and the events of workflows. If WebSockets do not get through, push changes over
    to polling by itself. ``put_away``: for how long a workflow waits before its frames are dropped.
    It is replayed when something happens. ``drain``: for how long steps that are under way may go
    on after :meth:`close` or SIGTERM.
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        token: str | None = None,
        queues: Sequence[str] = ("default",),
        worker: str | None = None,
        capacity: int = 100,
        lease: timedelta = DEFAULT_LEASE,
        grace: timedelta | None = GRACE,
        wait: Mode = "push",
        put_away: timedelta = PUT_AWAY,
        drain: timedelta = DRAIN,
    ) -> None:
        check_mode(wait)
        _check_length("lease", lease, MIN_LEASE)
        _check_length("grace", timedelta(0) if grace is None else grace)
        _check_length("put_away", put_away)
        _check_length("drain", drain)
        if isinstance(queues, str):
            msg = f"queues takes a list of names, such as [{queues!r}]"
            raise TypeError(msg)
        service = environment.addresses(url)
        self.client = Client(service.all, environment.token(token, "engine", service))
        self.worker = worker or f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self.queues = tuple(queues)
        self._drain = drain
        self._lease = lease
        self._grace = grace
        self._workflows = WorkflowRegistry()
        self._batcher = CommandBatcher(self._submit)
        self.pool = ExecutionPool(
            self.client.queries,
            self.client.leases,
            self.worker,
            self._workflows,
            self._batcher.submit,
            threads=capacity,
            put_away_after=put_away.total_seconds(),
        )
        self._work_source = WorkSource(
            self.client.leases,
            self.pool,
            worker=self.worker,
            queues=self.queues,
            capacity=capacity,
            lease=lease,
            grace=grace,
            mode=wait,
        )
        self._following: asyncio.Task[None] | None = None

    @overload
    def workflow(self, function: WorkflowFunction) -> WorkflowFunction: ...
    @overload
    def workflow(
        self, *, name: str | None = None, version: str | None = None
    ) -> Callable[[WorkflowFunction], WorkflowFunction]: ...
    def workflow(
        self,
        function: WorkflowFunction | None = None,
        *,
        name: str | None = None,
        version: str | None = None,
    ) -> WorkflowFunction | Callable[[WorkflowFunction], WorkflowFunction]:
        """Register an async function of (run, input) or (run), by default under its own name.

        It runs the executions of that name and version. A workflow without a version also runs
        those for whose version there is no other.
        """

        def register(function: WorkflowFunction) -> WorkflowFunction:
            self._workflows.add(function, name, version)
            return function

        return register if function is None else register(function)

    async def serve(self) -> None:
        """Work until SIGTERM, SIGINT or :meth:`close`.

        Raises Unauthenticated, Forbidden or BadRequest if the service refuses this engine, for
        example its token. The engine waits for the end of any other error.
        """
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            following = self._follow_on()
            stack.push_async_callback(self.close)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, following.cancel)
                stack.callback(loop.remove_signal_handler, number)
            await asyncio.wait([following])
            if not following.cancelled():
                following.result()

    async def close(self) -> None:
        """Take nothing more, let steps that are under way end, and give the executions back."""
        if self._following is None:
            return
        following, self._following = self._following, None
        following.cancel()
        await asyncio.wait([following])
        await self.pool.close(self._drain.total_seconds(), self._lease, self._grace)
        await self._batcher.close()
        await self.client.close()

    async def __aenter__(self) -> Self:
        self._follow_on()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        following = self._following
        await self.close()
        if error is None and following is not None and not following.cancelled():
            following.result()

    def _follow_on(self) -> asyncio.Task[None]:
        if self._following is None:
            log.info("the engine %s works on the queues %s", self.worker, ", ".join(self.queues))
            self._following = asyncio.create_task(
                self._work_source.run(), name="placet-assignments"
            )
            watching = asyncio.create_task(watch(), name="placet-stall")
            self._following.add_done_callback(lambda _: watching.cancel())
        return self._following

    async def _submit(self, commands: Sequence[msgspec.Raw]) -> list[Result]:
        outcomes = await self.client.transport.send_once(NOTE(commands))
        return [settled(outcome) for outcome in outcomes]


def _check_length(name: str, length: object, least: timedelta = timedelta(0)) -> None:
    if not isinstance(length, timedelta):
        msg = f"{name} is a timedelta, such as timedelta(seconds=5), not {length!r}"
        raise TypeError(msg)
    if length < least:
        seconds, bound = length.total_seconds(), least.total_seconds()
        msg = f"{name} is {seconds:g} s, it must be {bound:g} s or more"
        raise ValueError(msg)
