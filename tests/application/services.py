"""One server process without its edge: the writer and all that stands around it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self
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
from application.process_managers.children import ChildProcessManager
from application.process_managers.leader_election import LeaderElection
from application.process_managers.timers import TimerProcessManager
from application.subscriptions.event_tail import EventTail
from application.workers.dispatcher import Dispatcher
from application.workers.leases import Leases
from application.workers.long_polling import LongPolling
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval, Verdict
from domain.execution.commands import (
    ClaimExecution,
    Command,
    CompleteExecution,
    Decide,
    RecordStep,
    RequestApproval,
    StartExecution,
)
from domain.execution.events import Event, Recorded
from domain.execution.state import Execution
from domain.refusals import RefusalCode
from tests.domain.people import ANN, ENGINE, OLIVIA

# Only something that hangs takes so long.
HANGS = 30.0
FINANCE = Policy(requirements=(Requirement(groups=("finance",)),))


def request_of(command: Command) -> Request:
    """Give the command an id of its own."""
    return Request(command=command, command_id=uuid4())


def accepted(outcome: Outcome) -> Accepted:
    """Give the outcome, which must be an acceptance."""
    assert isinstance(outcome, Accepted), outcome
    return outcome


def refused(outcome: Outcome, code: RefusalCode) -> Refused:
    """Give the outcome, which must be this refusal."""
    assert isinstance(outcome, Refused), outcome
    assert outcome.code is code, outcome
    return outcome


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the log's lock, as another process does while it decides."""
    with psycopg.connect(url) as holder:
        holder.execute(lock_statement())
        yield


class Office:
    """``url`` is a database with the log's tables. Use it as ``async with Office.open(url)``."""

    def __init__(self, url: str, **writer_options: Any) -> None:
        self.url = url
        self.log = ExecutionEventStore(url)
        self.recent = RecentEvents()
        self.pool = reading_pool(url, Settings(pool_min=1, pool_max=4))
        self.reader = Reader(self.recent, self.pool)
        self.tail = EventTail(url, self.reader, self.recent)
        self.writer = Writer(self.log, self.recent, on_commit=self.tail.offer, **writer_options)
        self.leases = Leases(self.pool, self.writer, self.reader)
        self.polling = LongPolling(self.leases, self.reader, self.tail)
        self.dispatcher = Dispatcher(self.tail, self.reader, self.leases)
        self.election = LeaderElection(url)
        self.clock = TimerProcessManager(self.pool, self.writer, self.tail, self.election)
        self.family = ChildProcessManager(
            self.pool, self.writer, self.reader, self.tail, self.election
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, **writer_options: Any) -> AsyncIterator[Self]:
        office = cls(url, **writer_options)
        await office.pool.open()
        await office.tail.start()
        office.writer.start()
        await office.dispatcher.start()
        await office.election.start()
        await office.clock.start()
        await office.family.start()
        try:
            yield office
        finally:
            await office.family.close()
            await office.clock.close()
            await office.election.close()
            await office.dispatcher.close()
            await office.tail.close()
            await office.writer.close()
            await office.pool.close()
            office.log.close()

    async def send(self, *commands: Command, chained: bool = False) -> list[Outcome]:
        """Hand commands over in one call."""
        return await self.writer.handle([request_of(c) for c in commands], chained=chained)

    async def do(self, command: Command) -> Accepted:
        """Carry one command out."""
        [outcome] = await self.send(command)
        return accepted(outcome)

    async def start(self, **rest: Any) -> Execution:
        """Start an execution."""
        fields = {"execution_id": uuid4(), "workflow": "travel", **rest}
        return (await self.do(StartExecution(by=OLIVIA, **fields))).execution

    async def until(self, execution_id: UUID, event: type[Event], count: int = 1) -> list[Recorded]:
        """Wait until an execution has so many events of a type, and give them."""
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
        """Spoil the first event of an execution."""
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "UPDATE execution_events SET state = '{}'"
                " WHERE originator_id = %s AND originator_version = 1",
                (execution_id,),
            )

    async def ask(self, execution_id: UUID, **rest: Any) -> Approval:
        """Request an approval of one person of finance."""
        fields = {"key": "permit", "title": "Trip", "payload": {"cost": 1}, **rest}
        outcome = await self.do(
            RequestApproval(by=ENGINE, execution_id=execution_id, policy=FINANCE, **fields)
        )
        assert outcome.ordinal is not None
        return outcome.execution.approvals[outcome.ordinal]


def grant(approval: Approval, by: Any = ANN) -> Decide:
    """Give the command that grants what was shown."""
    return Decide(
        by=by,
        execution_id=approval.id.execution_id,
        ordinal=approval.ordinal,
        verdict=Verdict.GRANTED,
        digest=approval.digest,
    )


def step(execution_id: UUID, key: str, **rest: Any) -> RecordStep:
    """Give the command that records a step's result."""
    return RecordStep(by=ENGINE, execution_id=execution_id, key=key, name=key, **rest)


def complete(execution_id: UUID, **rest: Any) -> CompleteExecution:
    """Give the command that completes."""
    return CompleteExecution(by=ENGINE, execution_id=execution_id, **rest)


def claim(execution_id: UUID, worker: str = "worker-1") -> ClaimExecution:
    """Give the claim of a worker."""
    return ClaimExecution(by=ENGINE, execution_id=execution_id, worker=worker)
