"""All executions that an engine holds, and the service as their drivers see it."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple

from placet._util.invoke import described
from placet.client.leases import SHORTEST_LEASE, Leases
from placet.client.queries import Queries
from placet.client.transport.retry import retried
from placet.engine.execution_runner import ExecutionRunner, Stage
from placet.engine.fenced_sender import Submit
from placet.engine.history import Event, ExecutionHistory, load
from placet.engine.registry import WorkflowRegistry
from placet.errors import PlacetError
from placet.models.enums import ApprovalStatus
from placet.models.responses import ApprovalRecord, Assignment, Claim

log = logging.getLogger("placet.engine")

GIVE_BACK_SECONDS = 5.0
DOUBLINGS = 4
"""So often the pause grows while one execution runs into one fault after the other."""
FAULTS = 10_000
"""Executions whose faults are counted, at most."""
SWEEP_SECONDS = 1.0
RELEASES = 5_000
RELEASE_SECONDS = 3.0
"""For each request by which an engine that ends gives its executions back."""


_RESOLVED = {
    ApprovalStatus.GRANTED: "ApprovalGranted",
    ApprovalStatus.REJECTED: "ApprovalRejected",
    ApprovalStatus.EXPIRED: "ApprovalExpired",
    ApprovalStatus.WITHDRAWN: "ApprovalWithdrawn",
}


class _Back(NamedTuple):
    """How an execution goes back: what was dealt with, and under which fence it was held."""

    seen: int | None
    fence: int


class ExecutionPool:
    """One for an engine: a driver for each execution held.

    ``put_away_after``: for how many seconds a workflow waits before it is put away; it then takes
    a few hundred bytes, and is replayed when something comes for it.
    """

    def __init__(
        self,
        queries: Queries,
        leases: Leases,
        worker: str,
        workflows: WorkflowRegistry,
        submit: Submit,
        *,
        threads: int,
        put_away_after: float,
    ) -> None:
        self.workflows = workflows
        self.submit = submit
        self.threads = ThreadPoolExecutor(threads, "placet-step")
        self._queries = queries
        self._leases = leases
        self._worker = worker
        self._put_away_after = put_away_after
        self.told = True
        self._drivers: dict[str, ExecutionRunner] = {}
        self._idle: dict[ExecutionRunner, float] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._doubted: set[ExecutionRunner] = set()
        self._faults: Counter[str] = Counter()
        self._returned: dict[str, _Back] = {}
        self._returning: dict[str, _Back] = {}
        self._fewer = asyncio.Event()
        self._sweeping: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Give how many executions are held."""
        return len(self._drivers)

    def take(self, assignment: Assignment) -> None:
        """Take in what the service tells of what is held."""
        if assignment.claim is not None:
            self.claim(assignment.claim)
        if assignment.resolved is not None:
            self._happened(assignment.resolved.execution_id, _resolution(assignment))
        if assignment.happened is not None:
            past = assignment.happened
            event = Event(past.version, int(past.position), past.type, past.at, past.data or {})
            self._happened(past.execution_id, event)
        for execution_id in (assignment.ended, assignment.lost):
            if execution_id is not None:
                self.abandon(execution_id)

    def claim(self, claim: Claim) -> None:
        """Take an execution, or take note that it is still held."""
        execution_id = claim.execution.id
        held = self._drivers.get(execution_id)
        if held is not None and held.fence == claim.fence:
            self._doubted.discard(held)
            held.claimed_again(claim)
            return
        if held is not None:
            held.abandon()
        self._drivers[execution_id] = ExecutionRunner(claim, self)

    def abandon(self, execution_id: str) -> None:
        """Stop what is no longer held, and what is on its way back need not get there."""
        self._returning.pop(execution_id, None)
        runner = self._drivers.get(execution_id)
        if runner is not None:
            runner.abandon()

    def _happened(self, execution_id: str, event: Event) -> None:
        runner = self._drivers.get(execution_id)
        if runner is not None:
            self._idle.pop(runner, None)
            runner.happened(event)

    @property
    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)

    async def load(self, execution_id: str) -> ExecutionHistory:
        """Read an execution's record. Raises RequestError."""
        return await load(self._queries, execution_id)

    async def sleep(self, seconds: float) -> None:
        """Let time pass between two attempts of a step."""
        await asyncio.sleep(seconds)

    def idle(self, runner: ExecutionRunner) -> None:
        """Have a workflow that waits put away after a while."""
        self._faults.pop(runner.execution.id, None)
        if self.told:
            self._idle.pop(runner, None)
            self._idle[runner] = monotonic()
            if self._sweeping is None:
                self._sweeping = self._chore(self._put_away())
        else:
            seen = runner.seen
            runner.put_away()
            self._return(runner, seen)

    async def _put_away(self) -> None:
        """Put away what has waited for long enough, as long as anything waits."""
        while self._idle:
            await asyncio.sleep(min(SWEEP_SECONDS, self._put_away_after))
            due = monotonic() - self._put_away_after
            while self._idle:
                runner, since = next(iter(self._idle.items()))
                if since > due:
                    break
                del self._idle[runner]
                runner.put_away()
        self._sweeping = None

    def ended(self, runner: ExecutionRunner) -> None:
        """Forget an execution that is over, or another's."""
        self._faults.pop(runner.execution.id, None)
        self._forget(runner)

    def _forget(self, runner: ExecutionRunner) -> None:
        self._idle.pop(runner, None)
        if self._drivers.get(runner.execution.id) is runner:
            del self._drivers[runner.execution.id]
            self._fewer.set()

    def spare(self, runner: ExecutionRunner, *, parked: bool) -> None:
        """Give an execution back that can't go on here."""
        self._idle.pop(runner, None)
        if not parked:
            self._faults[runner.execution.id] += 1
            if len(self._faults) > FAULTS:
                # Of one that goes on elsewhere nothing is heard any more.
                del self._faults[next(iter(self._faults))]
        self._chore(self._give_back(runner, parked=parked))

    async def _give_back(self, runner: ExecutionRunner, *, parked: bool) -> None:
        execution_id = runner.execution.id
        try:
            if parked:
                # It can be claimed when it is unparked, which wakes it.
                self._faults.pop(execution_id, None)
                await self._release({execution_id: _Back(0, runner.fence)})
            else:
                # Not at once, or this engine and another would turn in circles.
                pause = GIVE_BACK_SECONDS * 2 ** min(self._faults[execution_id] - 1, DOUBLINGS)
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
                if self._drivers.get(execution_id) is not runner:
                    # Claimed anew meanwhile: what is held now is not what went wrong.
                    return
                await self._release({execution_id: _Back(None, runner.fence)})
        finally:
            self._forget(runner)

    def _return(self, runner: ExecutionRunner, seen: int | None) -> None:
        """Give back what waits: many at once go together."""
        if not self._returned:
            self._chore(self._return_all())
        back = _Back(seen, runner.fence)
        self._returned[runner.execution.id] = self._returning[runner.execution.id] = back
        self.ended(runner)

    async def _return_all(self) -> None:
        returned, self._returned = self._returned, {}
        try:
            # However long the service is away: what is on its way back is not told of again.
            await retried(None, self._release, returned)
        except Exception:
            for execution_id, back in returned.items():
                self._arrived(execution_id, back)
            raise

    def _chore(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chore_done)
        return task

    def _chore_done(self, task: "asyncio.Task[None]") -> None:
        self._chores.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            trace = None if isinstance(error, PlacetError) else error
            text = "executions are not given back, their leases must run out: %s"
            log.error(text, described(error), exc_info=trace)

    def runner(self, execution_id: str) -> ExecutionRunner:
        """Give who drives an execution. Raises KeyError if it is not held."""
        return self._drivers[execution_id]

    def keep(self, *, waiting: bool) -> None:
        """Keep executions that wait, or give them back, since nothing tells of what comes."""
        self.told = waiting
        if not waiting:
            for runner in self.held():
                if runner.seen is not None:
                    self.idle(runner)

    async def returned(self) -> None:
        """Wait until what was given back is on nobody's account any more."""
        while self._returning and self._chores:
            await asyncio.wait(self._chores, return_when=asyncio.FIRST_COMPLETED)

    def holding(self) -> dict[str, int | None]:
        """Give what is held, and what is on its way back, with what is known to have come."""
        known: dict[str, int | None] = {id_: d.arrived for id_, d in self._drivers.items()}
        return {**dict.fromkeys(self._returning), **known}

    async def room(self, capacity: int) -> None:
        """Wait until fewer executions than this are held."""
        while len(self) >= capacity:
            self._fewer.clear()
            await self._fewer.wait()

    def held(self) -> tuple[ExecutionRunner, ...]:
        """Give what is held."""
        return tuple(self._drivers.values())

    def doubt(self, runners: Iterable[ExecutionRunner]) -> None:
        """Take note that it has to be confirmed that these are still held."""
        self._doubted = set(runners)

    async def confirm(self) -> None:
        """Ask about what was doubted and has not been told of since. Raises RequestError."""
        for runner in tuple(self._doubted):
            if runner not in self._doubted or runner.stage is Stage.CLOSED:
                continue
            execution = await retried(None, self._queries.execution, runner.execution.id)
            if execution is None or execution.state.final or execution.fence != runner.fence:
                runner.abandon()
        self._doubted = set()

    async def close(self, drain: float, lease: timedelta, grace: timedelta | None) -> None:
        """Let what is under way end for so many seconds, stop the rest, give everything back.

        What waits goes back at once. The lease is kept meanwhile, so that nobody else begins what
        is still under way; it is a short one, of ``grace``, since there is no stream any more that
        would break off if this process were killed. A service that is away is not waited for: at
        the end of the leases it takes everything back by itself.
        """
        kept = lease if grace is None else max(min(grace, lease), SHORTEST_LEASE)
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
        held = {id_: _Back(runner.seen, runner.fence) for id_, runner in self._drivers.items()}
        for runner in self.held():
            runner.abandon()
        for task in (beating, *self._chores):
            task.cancel()
        # Cancelled workflows are told so by callbacks, which come before this.
        await asyncio.sleep(0)
        self.threads.shutdown(wait=False, cancel_futures=True)
        transport = self._leases.transport
        transport.retry_for = min(transport.retry_for, RELEASE_SECONDS)
        try:
            await self._release({**self._returning, **held}, RELEASE_SECONDS)
            # Also what was claimed and has not been told of.
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._leases.release(self._worker, seen={}, others=True)
        except (PlacetError, TimeoutError) as error:
            reason = str(error) or f"no answer from {transport.url} in {RELEASE_SECONDS:g} s"
            if held or self._returning:
                log.warning(
                    "executions are not released; their leases will run out on their own, %g s"
                    " at most after the service last heard of this engine: %s",
                    lease.total_seconds(),
                    reason,
                )
            else:
                log.info("the service did not hear that this engine has ended: %s", reason)

    async def _keep_lease(self, lease: timedelta) -> None:
        while True:
            try:
                await self._leases.heartbeat(self._worker, lease=lease)
            except PlacetError as error:
                log.warning("the lease is not kept: %s", error)
            await asyncio.sleep(lease.total_seconds() / 3)

    async def _release(self, returned: Mapping[str, _Back], seconds: float | None = None) -> None:
        """Give back in several requests, with so many seconds for each."""
        items = list(returned.items())
        for start in range(0, len(items), RELEASES):
            some = items[start : start + RELEASES]
            async with asyncio.timeout(seconds):
                await self._leases.release(
                    self._worker,
                    seen={execution_id: back.seen for execution_id, back in some},
                    fences={execution_id: back.fence for execution_id, back in some},
                )
            for execution_id, back in some:
                self._arrived(execution_id, back)

    def _arrived(self, execution_id: str, back: _Back) -> None:
        # Meanwhile a later claim of it may be on its way back.
        if self._returning.get(execution_id) == back:
            del self._returning[execution_id]


def _resolution(assignment: Assignment) -> Event:
    approval = assignment.resolved
    assert isinstance(approval, ApprovalRecord)
    assert assignment.version is not None
    assert assignment.position is not None
    resolved_at = approval.resolved_at
    assert resolved_at is not None
    return Event(
        assignment.version,
        int(assignment.position),
        _RESOLVED[approval.status],
        resolved_at,
        {},
        approval,
    )
