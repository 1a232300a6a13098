"""One server process without GraphQL, and the commands that tests of the application send."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Protocol, Self
from uuid import UUID, uuid4

import psycopg

from api.database import reading_pool
from api.settings import Settings
from application.command_handling.outcomes import Accepted, Outcome, Refused
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.event_store.reader import Reader
from application.event_store.recent_events import RecentEvents
from application.event_store.recorder import lock_statement
from application.event_store.store import ExecutionEventStore
from application.process_managers.cancellations import CancellationProcessManager
from application.process_managers.children import ChildProcessManager
from application.process_managers.leader_election import LeaderElection
from application.process_managers.standing_grants import StandingGrantProcessManager
from application.process_managers.timers import TimerProcessManager
from application.process_managers.unserved_workflows import UnservedWorkflows
from application.subscriptions.event_tail import EventTail
from application.workers.dispatcher import Dispatcher
from application.workers.leases import Leases
from application.workers.long_polling import LongPolling
from domain.approvals.commands import (
    Decide,
    RequestApproval,
)
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval, Verdict
from domain.execution.commands import (
    ClaimExecution,
    Command,
    CompleteExecution,
    RecordStep,
    StartExecution,
)
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Recorded,
)
from domain.execution.state import Execution
from domain.refusals import RefusalCode
from tests.domain.people import ANN, ENGINE, OLIVIA
from tests.support.patience import HANGS

# How long a clean-up may take. The tests that need an end of it set the clock of its request back.
CLEAN_UP = timedelta(hours=1)
# Seconds for the log's lock, and for a pause under it: a busy machine is no fault.
PATIENT = int(HANGS)
FINANCE = Policy(requirements=(Requirement(groups=("finance",)),))


def request_of(command: Command) -> Request:
    """Return a request for the command, with a new id."""
    return Request(command=command, command_id=uuid4())


def accepted(outcome: Outcome) -> Accepted:
    """Return the outcome. It must be Accepted."""
    assert isinstance(outcome, Accepted), outcome
    return outcome


def refused(outcome: Outcome, code: RefusalCode) -> Refused:
    """Return the outcome. It must be a refusal with this code."""
    assert isinstance(outcome, Refused), outcome
    assert outcome.code is code, outcome
    return outcome


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the log's lock, as another process does while it decides."""
    with psycopg.connect(url) as holder:
        holder.execute(lock_statement())
        yield


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(HANGS):
        while not condition():
            await asyncio.sleep(0.001)


class Part(Protocol):
    """What is started and closed with a server process."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...


class ServerProcess:
    """All parts of a server process below the API, on a database that has the tables.

    Use it as ``async with ServerProcess.open(url)``. Two of them on one URL are two processes.
    """

    def __init__(self, url: str, **writer_options: Any) -> None:
        self.url = url
        self.log = ExecutionEventStore(
            url, lock_timeout=PATIENT, idle_in_transaction_timeout=PATIENT
        )
        self.recent = RecentEvents()
        self.pool = reading_pool(url, Settings(pool_min=1, pool_max=4))
        self.reader = Reader(self.recent, self.pool)
        self.tail = EventTail(url, self.reader, self.recent)
        self.writer = Writer(self.log, self.recent, on_commit=self.tail.offer, **writer_options)
        self.leases = Leases(self.pool, self.writer, self.reader)
        self.long_polling = LongPolling(self.leases, self.reader, self.tail)
        self.dispatcher = Dispatcher(self.tail, self.reader, self.leases)
        self.election = LeaderElection(url)
        self.timers = TimerProcessManager(self.pool, self.writer, self.tail, self.election)
        self.cancellations = CancellationProcessManager(
            self.pool, self.writer, self.election, CLEAN_UP
        )
        self.unserved = UnservedWorkflows(self.pool, self.election)
        self.children = ChildProcessManager(
            self.pool, self.writer, self.reader, self.tail, self.election
        )

        self.standing_grants = StandingGrantProcessManager(
            self.pool, self.writer, self.reader, self.tail, self.election
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, **writer_options: Any) -> AsyncIterator[Self]:
        process = cls(url, **writer_options)
        # What has started ends also if the next part can't start.
        async with AsyncExitStack() as closing:
            closing.callback(process.log.close)
            closing.push_async_callback(process.pool.close)
            await process.pool.open()
            closing.push_async_callback(process.writer.close)
            closing.push_async_callback(process.tail.close)
            await process.tail.start()
            process.writer.start()
            parts: list[Part] = [
                process.dispatcher,
                process.election,
                process.timers,
                process.children,
                process.standing_grants,
                process.cancellations,
            ]
            for part in parts:
                closing.push_async_callback(part.close)
                await part.start()
            yield process

    async def send(self, *commands: Command, chained: bool = False) -> list[Outcome]:
        """Send commands in one call."""
        return await self.writer.handle([request_of(c) for c in commands], chained=chained)

    async def do(self, command: Command) -> Accepted:
        """Send one command, which must be accepted."""
        [outcome] = await self.send(command)
        return accepted(outcome)

    async def start(self, **rest: Any) -> Execution:
        """Start an execution."""
        fields = {"execution_id": uuid4(), "workflow": "travel", **rest}
        return (await self.do(StartExecution(by=OLIVIA, **fields))).execution

    async def until(self, execution_id: UUID, event: type[Event], count: int = 1) -> list[Recorded]:
        """Wait until an execution has ``count`` events of a type, and return them."""
        found: list[Recorded] = []
        async with asyncio.timeout(HANGS):
            async for batch in self.tail.follow(0, execution_id=execution_id):
                found += [e.recorded for e in batch.events if isinstance(e.recorded.event, event)]
                if len(found) >= count:
                    break
        return found

    async def until_position(self, position: int) -> None:
        """Wait until this process knows of an event at a position."""
        async with asyncio.timeout(HANGS):
            while self.tail.position < position:
                await asyncio.sleep(0.01)

    def damage(self, execution_id: UUID) -> None:
        """Overwrite the first event of an execution with an empty object."""
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "UPDATE execution_events SET state = '{}'"
                " WHERE originator_id = %s AND originator_version = 1",
                (execution_id,),
            )

    async def ask(self, execution_id: UUID, **rest: Any) -> Approval:
        """Request the approval of one person of the group finance."""
        fields = {
            "key": "permit",
            "title": "Trip",
            "payload": {"cost": 1},
            "policy": FINANCE,
            **rest,
        }
        outcome = await self.do(RequestApproval(by=ENGINE, execution_id=execution_id, **fields))
        assert outcome.ordinal is not None
        return outcome.execution.approvals[outcome.ordinal]


def grant(approval: Approval, by: Any = ANN, **rest: Any) -> Decide:
    """Return the command that grants an approval."""
    return Decide(
        by=by,
        execution_id=approval.id.execution_id,
        ordinal=approval.ordinal,
        verdict=Verdict.GRANTED,
        digest=approval.digest,
        **rest,
    )


def step(execution_id: UUID, key: str, **rest: Any) -> RecordStep:
    """Return the command that records a step's result."""
    return RecordStep(by=ENGINE, execution_id=execution_id, key=key, name=key, **rest)


def complete(execution_id: UUID, **rest: Any) -> CompleteExecution:
    """Return the command that completes an execution."""
    return CompleteExecution(by=ENGINE, execution_id=execution_id, **rest)


def claim(execution_id: UUID, worker: str = "worker-1") -> ClaimExecution:
    """Return the command with which a worker claims an execution."""
    return ClaimExecution(by=ENGINE, execution_id=execution_id, worker=worker)
