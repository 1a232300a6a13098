"""The engine: claims executions and runs their workflows, in one process and one event loop."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar, overload
from uuid import uuid4

import msgspec

from placet._util.otlp import exporting
from placet._util.workflow_names import WorkflowFunction, remember_name
from placet.client import environment
from placet.client.changes import Mode, check_mode
from placet.client.client import Client
from placet.client.leases import GRACE
from placet.client.mutations import settled
from placet.client.transport.operations.commands import NOTE
from placet.client.transport.token_source import Token
from placet.engine.command_batcher import CommandBatcher, Result
from placet.engine.execution_pool import ExecutionPool
from placet.engine.loop_watchdog import watched
from placet.engine.registry import WorkflowRegistry
from placet.engine.work_source import WorkSource
from placet.models.rules import DEFAULT_LEASE, MIN_LEASE

F = TypeVar("F", bound=WorkflowFunction)

log = logging.getLogger("placet.engine")

PUT_AWAY = timedelta(minutes=1)
DRAIN = timedelta(seconds=10)


class Engine:
    """Runs workflows for one service.

    ``url``: its address or addresses, and ``token``; if they are not given they are found as by
    :class:`placet.Client`, in development the token of the engine. If ``token`` is a function,
    steps that are under way when a token ends are recorded with the next one, which must belong to
    the same owner.
    ``worker`` names this process to the service. No other process may use the name; by default it
    is generated.
    ``capacity``: how many executions it takes at once, not counting those that wait, and how many
    steps it does at once in threads, and as many async ones. ``lease``: for how long it keeps its
    executions while it is neither connected nor heard of. ``grace``: for how long after its
    connection broke, as it does when this process is killed, and it was not heard of since; None:
    for the whole lease. ``wait``: how it gets its work and the events of workflows. If WebSockets
    do not get through, push changes over to polling by itself. ``put_away``: for how long a
    workflow waits before its frames are dropped. It is replayed when something happens. Up to a
    hundred long workflows stay. ``drain``: for how long steps that are under way may go on after
    :meth:`close` or SIGTERM. ``public_url``: the address of the service as people reach it, which
    ``run.ask`` gives to workflows; by default PLACET_PUBLIC_URL, else the first of ``url``.
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        *,
        token: Token | None = None,
        queues: Sequence[str] = ("default",),
        worker: str | None = None,
        capacity: int = 100,
        lease: timedelta = DEFAULT_LEASE,
        grace: timedelta | None = GRACE,
        wait: Mode = "push",
        public_url: str | None = None,
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
        self._batcher = CommandBatcher(self._submit, keep_for=lease.total_seconds())
        self.pool = ExecutionPool(
            self.client.queries,
            self.client.mutations,
            self.client.leases,
            self.worker,
            self._workflows,
            self._batcher.submit,
            public_url=environment.public_url(public_url, service),
            capacity=capacity,
            put_away_after=put_away.total_seconds(),
        )
        self._work_source = WorkSource(
            self.client.leases,
            self.pool,
            worker=self.worker,
            queues=self.queues,
            workflows=self._workflows.known,
            capacity=capacity,
            lease=lease,
            grace=grace,
            mode=wait,
        )
        self._following: asyncio.Task[None] | None = None

    @overload
    def workflow(self, function: F) -> F: ...
    @overload
    def workflow(
        self, *, name: str | None = None, version: str | None = None, cleans_up: bool = False
    ) -> Callable[[F], F]: ...
    def workflow(
        self,
        function: F | None = None,
        *,
        name: str | None = None,
        version: str | None = None,
        cleans_up: bool = False,
    ) -> F | Callable[[F], F]:
        """Register an async function of (run, input) or (run), by default under its own name.

        It runs the executions of that name and version. A workflow without a version also runs
        those for whose version there is no other. Executions of other workflows and versions wait
        for an engine that has them. Register all before the engine is started.

        ``cleans_up``: when an execution is cancelled, CancelledError is raised where the workflow
        waits, and the steps in its ``except`` and ``finally`` are still done. Otherwise a cancelled
        execution ends at once.
        """

        def register(function: F) -> F:
            found = self._workflows.add(function, name, version, cleans_up=cleans_up)
            remember_name(function, found, version)
            return function

        return register if function is None else register(function)

    async def serve(self) -> None:
        """Work until SIGTERM, SIGINT or :meth:`close`.

        Raises Forbidden or BadRequest if the service refuses this engine, and Unauthenticated if it
        refuses its token; while executions are held, once the lease is over. The engine waits for
        the end of any other error.
        """
        loop = asyncio.get_running_loop()
        if not log.isEnabledFor(logging.INFO):
            # Whoever started it in a terminal would see nothing else until something happens.
            print(f"placet: {self._waits_for()}", file=sys.stderr, flush=True)  # noqa: T201
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(exporting())
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
            log.info(self._waits_for())
            self._following = asyncio.create_task(self._follow(), name="placet-assignments")
        return self._following

    def _waits_for(self) -> str:
        names = sorted({workflow.name for workflow in self._workflows.known()})
        queues = "queue" if len(self.queues) == 1 else "queues"
        return (
            f"the engine {self.worker} waits for executions of {', '.join(names) or 'no workflow'}"
            f" on the {queues} {', '.join(self.queues)};"
            f" see {self.client.url.removesuffix('/graphql')}/executions, or `placet executions`"
        )

    async def _follow(self) -> None:
        with watched():
            await self._work_source.run()

    async def _submit(
        self, commands: Sequence[msgspec.Raw], traces: Sequence[str | None]
    ) -> list[Result]:
        note = NOTE(commands)
        note.traces = traces if any(traces) else ()
        outcomes = await self.client.transport.send_once(note)
        return [settled(outcome) for outcome in outcomes]


def _check_length(name: str, length: object, least: timedelta = timedelta(0)) -> None:
    if not isinstance(length, timedelta):
        msg = f"{name} is a timedelta, such as timedelta(seconds=5), not {length!r}"
        raise TypeError(msg)
    if length < least:
        seconds, bound = length.total_seconds(), least.total_seconds()
        msg = f"{name} is {seconds:g} s, it must be {bound:g} s or more"
        raise ValueError(msg)
