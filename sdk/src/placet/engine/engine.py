"""The engine: claims executions and runs their workflows, in one process and one event loop."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from types import TracebackType
from typing import Self, overload
from uuid import uuid4

import msgspec

from placet import operations
from placet.client import Client
from placet.engine.batcher import Batcher, Result
from placet.engine.driver import Driver
from placet.engine.hold import log
from placet.engine.workflows import WorkflowFunction, Workflows
from placet.errors import PlacetError
from placet.leases import LEASE
from placet.model import Assignment, Claim
from placet.mutations import settled

CLOSE_SECONDS = 10.0


class Engine:
    """Runs workflows for one service.

    ``worker`` names this process to the service and must be its alone; by default it is made up.
    ``capacity``: how many executions it takes at once, not counting those that wait for approval.
    ``lease``: for how long its executions stay its own after the service has last heard of it.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str,
        queues: Sequence[str] = ("default",),
        worker: str | None = None,
        capacity: int = 100,
        lease: timedelta = LEASE,
    ) -> None:
        self.client = Client(url, token)
        self.worker = worker or f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self.queues = tuple(queues)
        self._capacity = capacity
        self._lease = lease
        self._workflows = Workflows()
        self._batcher = Batcher(self._submit)
        self._drivers: dict[str, Driver] = {}
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

        It runs the executions of that name and version; one without a version also those for
        whose version there is no other.
        """

        def register(function: WorkflowFunction) -> WorkflowFunction:
            self._workflows.add(function, name, version)
            return function

        return register if function is None else register(function)

    async def serve(self) -> None:
        """Work until SIGTERM, SIGINT or :meth:`close`.

        Raises RequestError if the service turns this engine away, for its token say.
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
        """Take nothing more, stop all runs where they are, and give the executions back."""
        if self._following is None:
            return
        following, self._following = self._following, None
        following.cancel()
        drivers = tuple(self._drivers.values())
        for driver in drivers:
            driver.abandon()
        ending = {following, *(driver.task for driver in drivers)}
        _, stuck = await asyncio.wait(ending, timeout=CLOSE_SECONDS)
        for task in stuck:
            log.warning("%s did not end when it was cancelled", task.get_name())
        await self._batcher.close()
        try:
            await self.client.release(self.worker)
        except PlacetError as error:
            log.warning("executions are not released, their leases must run out: %s", error)
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
            self._following = asyncio.create_task(self._follow(), name="placet-assignments")
        return self._following

    async def _follow(self) -> None:
        assignments = self.client.assignments(
            self.worker,
            queues=self.queues,
            capacity=self._capacity,
            lease=self._lease,
            on_open=self._drop_lost,
        )
        async with aclosing(assignments):
            async for assignment in assignments:
                self._assign(assignment)

    def _assign(self, assignment: Assignment) -> None:
        if assignment.claim is not None:
            self._take(assignment.claim)
        if assignment.resolved is not None:
            driver = self._drivers.get(assignment.resolved.execution_id)
            if driver is not None:
                driver.resolve(assignment.resolved)
        for execution_id in (assignment.ended, assignment.lost):
            if execution_id is not None and execution_id in self._drivers:
                self._drivers[execution_id].abandon()

    def _take(self, claim: Claim) -> None:
        execution_id = claim.execution.id
        held = self._drivers.get(execution_id)
        if held is not None:
            if held.fence == claim.fence:
                # Told again after a new connection, during which a resolution may have been missed.
                held.recheck()
                return
            held.abandon()
        driver = Driver(claim, self.client, self._batcher.submit, self._workflows, self._give_back)
        self._drivers[execution_id] = driver
        driver.task.add_done_callback(lambda _: self._forget(execution_id, driver))

    async def _give_back(self, execution_id: str) -> None:
        await self.client.release(self.worker, [execution_id])

    def _forget(self, execution_id: str, driver: Driver) -> None:
        if self._drivers.get(execution_id) is driver:
            del self._drivers[execution_id]

    async def _drop_lost(self) -> None:
        """Abandon what was lost, and ask about the rest, while there was no stream to say so."""
        before = dict(self._drivers)
        if not before:
            return
        for driver in before.values():
            # One that came to an end meanwhile is not told of again: only asking shows it.
            driver.recheck()
        heartbeat = await self.client.heartbeat(self.worker, lease=self._lease)
        for execution_id in heartbeat.lost:
            # One that was claimed anew in the meantime has another driver.
            if execution_id in before:
                before[execution_id].abandon()

    async def _submit(self, commands: Sequence[msgspec.Raw]) -> list[Result]:
        outcomes = await self.client.execute_once(operations.SUBMIT, {"inputs": commands})
        return [settled(outcome) for outcome in outcomes]
