"""All executions that an engine holds, each with its runner."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from time import monotonic
from typing import Any

from placet._util.invoke import described
from placet._util.positions import number_of
from placet.client.leases import Leases
from placet.client.mutations import Mutations
from placet.client.queries import Queries
from placet.client.transport.retry import retried
from placet.engine.engine_access import ServiceAccess
from placet.engine.execution_runner import ExecutionRunner
from placet.engine.fault_pauses import FaultPauses
from placet.engine.fenced_sender import Submit
from placet.engine.history import Event, ExecutionHistory, load, resolution
from placet.engine.idle_runners import IdleRunners
from placet.engine.lost_workers import SuspectTurns
from placet.engine.registry import WorkflowRegistry
from placet.engine.releases import Releases, Returned
from placet.engine.run_phase import RunPhase
from placet.errors import PlacetError
from placet.models.rules import MIN_LEASE
from placet.models.worker_responses import Assignment, Claim

log = logging.getLogger("placet.engine")


class ExecutionPool:
    """The executions that one engine holds. It is the backend of their runners.

    ``capacity``: how many steps are done at once in threads, and how many async ones.
    ``put_away_after``: for how many seconds a workflow waits before it is put away. It then takes a
    few hundred bytes, and is replayed when something happens.
    """

    def __init__(
        self,
        queries: Queries,
        mutations: Mutations,
        leases: Leases,
        worker: str,
        workflows: WorkflowRegistry,
        submit: Submit,
        *,
        public_url: str,
        capacity: int,
        put_away_after: float,
    ) -> None:
        self.workflows = workflows
        self.submit = submit
        self.engine = ServiceAccess(queries, mutations, public_url, capacity)
        self._queries = queries
        self._leases = leases
        self._worker = worker
        self.streaming = True
        self._runners: dict[str, ExecutionRunner] = {}
        self._idle = IdleRunners(put_away_after, self._chore)
        self._chores: set[asyncio.Task[None]] = set()
        self._doubted: set[ExecutionRunner] = set()
        self.turns = SuspectTurns()
        self._faults = FaultPauses()
        self._releases = Releases(leases, worker)
        self._fewer = asyncio.Event()

    def __len__(self) -> int:
        """Return how many executions are held."""
        return len(self._runners)

    def take(self, assignment: Assignment) -> None:
        """Act on a message of the stream of assignments."""
        if assignment.claim is not None:
            self.claim(assignment.claim)
        if assignment.resolved is not None:
            self._happened(assignment.resolved.execution_id, resolution(assignment))
        if assignment.happened is not None:
            past = assignment.happened
            event = Event(
                past.version,
                number_of(past.position),
                past.type,
                past.at,
                past.data or {},
                trace=past.traceparent,
            )
            self._happened(past.execution_id, event)
        for execution_id in (assignment.ended, assignment.lost):
            if execution_id is not None:
                self.abandon(execution_id)
        if assignment.parked is not None:
            self.parked(assignment.parked)

    def claim(self, claim: Claim) -> None:
        """Run an execution, or note that it is still held."""
        execution_id = claim.execution.id
        held = self._runners.get(execution_id)
        if held is not None and held.fence == claim.fence:
            self._doubted.discard(held)
            held.claimed_again(claim)
            return
        if held is not None:
            held.abandon()
        self._runners[execution_id] = ExecutionRunner(claim, self)

    def abandon(self, execution_id: str) -> None:
        """Stop an execution that is no longer held. It need not be given back any more."""
        self._releases.forget(execution_id)
        runner = self._runners.get(execution_id)
        if runner is not None:
            runner.abandon()

    def parked(self, execution_id: str) -> None:
        """Stop an execution that a person has parked."""
        self._releases.forget(execution_id)
        runner = self._runners.get(execution_id)
        if runner is not None:
            self._idle.remove(runner)
            runner.parked()

    def _happened(self, execution_id: str, event: Event) -> None:
        runner = self._runners.get(execution_id)
        if runner is not None:
            self._idle.remove(runner)
            runner.happened(event)

    async def load(self, execution_id: str) -> ExecutionHistory:
        """Read the history of an execution. Raises RequestError."""
        return await load(self._queries, execution_id)

    def idle(self, runner: ExecutionRunner) -> None:
        """Put a waiting workflow away after a while, or give it back if there is no stream."""
        self._faults.forget(runner.execution.id)
        if self.streaming:
            self._idle.add(runner)
            return
        returned = Returned(runner.seen, runner.fence)
        runner.put_away()
        if self._releases.add(runner.execution.id, returned):
            self._chore(self._releases.flush())
        self.ended(runner)

    def ended(self, runner: ExecutionRunner) -> None:
        """Forget an execution that is over, or not held any more."""
        self._faults.forget(runner.execution.id)
        self._forget(runner)

    def _forget(self, runner: ExecutionRunner) -> None:
        self._idle.remove(runner)
        self.turns.end(runner.execution.id)
        if self._runners.get(runner.execution.id) is runner:
            del self._runners[runner.execution.id]
            self._fewer.set()

    def give_back(self, runner: ExecutionRunner, *, parked: bool, at_once: bool = False) -> None:
        """Give back an execution that can't go on here: ``at_once``, or after a pause.

        What came back to this engine is given back after a pause all the same.
        """
        self._idle.remove(runner)
        if not parked:
            self._faults.fault(runner.execution.id)
        at_once = at_once and self._faults.first(runner.execution.id)
        self._chore(self._give_back(runner, parked=parked, at_once=at_once))

    async def _give_back(self, runner: ExecutionRunner, *, parked: bool, at_once: bool) -> None:
        execution_id = runner.execution.id
        try:
            if parked:
                # Unparking it wakes it, and then it can be claimed.
                self._faults.forget(execution_id)
                await self._releases.send({execution_id: Returned(0, runner.fence)})
            else:
                if not at_once:
                    # Or it would go back and forth between engines without end.
                    await asyncio.sleep(self._faults.seconds(execution_id))
                if self._runners.get(execution_id) is not runner:
                    # It was claimed anew meanwhile, and the new claim is not at fault.
                    return
                await self._releases.send({execution_id: Returned(None, runner.fence)})
        finally:
            self._forget(runner)

    def _chore(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)
        return task

    def _chore_done(self, task: "asyncio.Task[None]") -> None:
        self._chores.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            trace = None if isinstance(error, PlacetError) else error
            text = "executions were not given back; the service takes them when leases end: %s"
            log.error(text, described(error), exc_info=trace)

    def runner(self, execution_id: str) -> ExecutionRunner:
        """Return the runner of an execution. Raises KeyError if it is not held."""
        return self._runners[execution_id]

    def keep(self, *, waiting: bool) -> None:
        """Keep executions that wait, or give them back because nothing announces events."""
        self.streaming = waiting
        if not waiting:
            for runner in self.held():
                if runner.seen is not None:
                    self.idle(runner)

    async def returned(self) -> None:
        """Wait until the service has confirmed everything that was given back."""
        while self._releases.unconfirmed and self._chores:
            await asyncio.wait(self._chores, return_when=asyncio.FIRST_COMPLETED)

    def holding(self) -> dict[str, int | None]:
        """Return by id what is held or on its way back, with the last wake-up that is known."""
        known: dict[str, int | None] = {
            execution_id: runner.arrived
            for execution_id, runner in self._runners.items()
            if runner.holds
        }
        return {**dict.fromkeys(self._releases.unconfirmed), **known}

    async def room(self, capacity: int) -> None:
        """Wait until fewer executions than this are held."""
        while len(self) >= capacity:
            self._fewer.clear()
            await self._fewer.wait()

    def held(self) -> tuple[ExecutionRunner, ...]:
        """Return the runners of what is held."""
        return tuple(self._runners.values())

    def doubt(self, runners: Iterable[ExecutionRunner]) -> None:
        """Note that it has to be confirmed that these are still held."""
        self._doubted = set(runners)

    async def confirm(self) -> None:
        """Ask about what was doubted and not announced since. Raises RequestError."""
        for runner in tuple(self._doubted):
            if runner not in self._doubted or runner.phase is RunPhase.CLOSED:
                continue
            execution = await retried(None, self._queries.execution, runner.execution.id)
            if execution is None or execution.state.final or execution.fence != runner.fence:
                runner.abandon()
            elif execution.parked is not None:
                self.parked(execution.id)
        self._doubted = set()

    async def close(self, drain: float, lease: timedelta, grace: timedelta | None) -> None:
        """Let what is under way end for so many seconds, stop the rest, give everything back.

        What waits goes back at once. The lease is prolonged meanwhile, so that nobody else begins
        what is still under way. The lease is as short as ``grace``: no stream is open any more
        whose end would show that this process was killed. A service that is away is not waited
        for; it takes everything back when the leases end.
        """
        kept = lease if grace is None else max(min(grace, lease), MIN_LEASE)
        self.keep(waiting=False)
        runners = self.held()
        for runner in runners:
            runner.drain()
        beating = asyncio.get_running_loop().create_task(self._keep_lease(kept))
        deadline = monotonic() + drain
        while under_way := {task for runner in runners for task in runner.tasks}:
            left = deadline - monotonic()
            if left <= 0:
                break
            await asyncio.wait(under_way, timeout=left)
        held = {id_: Returned(runner.seen, runner.fence) for id_, runner in self._runners.items()}
        for runner in self.held():
            runner.abandon()
        for task in (beating, *self._chores):
            task.cancel()
        # Cancelled workflows hear of it in callbacks, which run before this continues.
        await asyncio.sleep(0)
        self.engine.threads.shutdown(wait=False, cancel_futures=True)
        await self._releases.send_all(held, lease)

    async def _keep_lease(self, lease: timedelta) -> None:
        while True:
            try:
                await self._leases.heartbeat(self._worker, lease=lease)
            except PlacetError as error:
                log.warning("the lease could not be prolonged: %s", error)
            await asyncio.sleep(lease.total_seconds() / 3)
