"""The ways to wait that are measured, with one interface: make, wait, decide, count requests."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import httpx
from prometheus_client.parser import text_string_to_metric_families

import placet
from bench.alternatives import Bus, Table
from bench.stack import Stack, stack
from placet.client.changes import Mode
from placet.models.commands import RequestApproval, StartExecution
from placet.models.rules import MAX_WAIT

POLL_SECONDS = 0.5
IN_ONE_SUBMIT = 100
GRANTED, REJECTED = "GRANTED", "REJECTED"

Item = Any
"""What to wait for: an approval, a row's id or a topic."""


class WaitMethod(Protocol):
    """A way to wait. ``renews``: seconds between the requests of one wait, 0 if it has one."""

    name: str
    renews: float

    async def make(self, number: int) -> Sequence[Item]:
        """Create so many items that wait for a decision."""

    async def wait(self, item: Item) -> object:
        """Wait until the item is decided."""

    async def decide(self, item: Item, decision: str = GRANTED) -> bool:
        """Decide. Returns whether the decision was accepted."""

    async def requests(self) -> float:
        """Return how many requests other processes have answered so far."""


@dataclass(frozen=True)
class WaitingClients:
    """Clients of one server: one requests approvals, one grants, one rejects, and one waits."""

    server: Stack
    engine: placet.Client
    approver: placet.Client
    rejecter: placet.Client
    waiter: placet.Client

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["WaitingClients"]:
        """Start a server on a database, and end it after the block."""
        with tempfile.TemporaryDirectory() as data, stack(Path(data), database_url=url) as server:
            tokens = server.tokens
            async with (
                placet.Client(server.url, tokens["engine"]) as engine,
                placet.Client(server.url, tokens["approver-a"]) as approver,
                placet.Client(server.url, tokens["approver-b"]) as rejecter,
                placet.Client(server.url, tokens["operator"]) as waiter,
            ):
                yield cls(server, engine, approver, rejecter, waiter)

    async def asked(self, number: int) -> list[placet.Approval]:
        """Start so many executions and request an approval in each."""
        approvals: list[placet.Approval] = []
        while len(approvals) < number:
            commands: list[StartExecution | RequestApproval] = []
            for _ in range(min(IN_ONE_SUBMIT, number - len(approvals))):
                execution_id = str(uuid4())
                commands += [
                    StartExecution(id=execution_id, workflow="waited-for"),
                    RequestApproval(
                        execution_id=execution_id,
                        key="go",
                        title="Go on?",
                        payload={"n": 1},
                        policy=placet.require(1, group="finance"),
                    ),
                ]
            for outcome in await self.engine.submit(commands):
                assert isinstance(outcome, placet.Accepted), outcome
                approvals += [outcome.approval] if outcome.approval else []
        return approvals


Wait = Callable[[placet.Client, placet.Approval], Awaitable[object]]


class PlacetWait:
    """Waits with Placet's client, in one of its ways."""

    def __init__(self, name: str, clients: WaitingClients) -> None:
        self.name = name
        self._wait, self.renews = PLACET_METHODS[name]
        self._clients = clients

    async def make(self, number: int) -> Sequence[Item]:
        return await self._clients.asked(number)

    async def wait(self, item: Item) -> object:
        return await self._wait(self._clients.waiter, item)

    async def decide(self, item: Item, decision: str = GRANTED) -> bool:
        try:
            if decision == GRANTED:
                await self._clients.approver.grant(item)
            else:
                await self._clients.rejecter.reject(item, comment="no")
        except placet.Refused as refused:
            if refused.code != "ALREADY_DECIDED":
                raise
            return False
        return True

    async def requests(self) -> float:
        return await answered(self._clients.server)


class TableWait:
    """Waits by polling a table with row locks."""

    name = "table with locks, polled"
    renews = 0.0

    def __init__(self, table: Table) -> None:
        self._table = table

    async def make(self, number: int) -> Sequence[Item]:
        return await self._table.add(number)

    async def wait(self, item: Item) -> object:
        return await self._table.wait(item)

    async def decide(self, item: Item, decision: str = GRANTED) -> bool:
        return await self._table.decide(item, decision)

    async def requests(self) -> float:
        return self._table.transactions


class BusWait:
    """Waits on an event bus in the process that decides."""

    name = "event bus in memory"
    renews = 0.0

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def make(self, number: int) -> Sequence[Item]:
        return [str(uuid4()) for _ in range(number)]

    async def wait(self, item: Item) -> object:
        async with self._bus.subscribed(item) as messages:
            return await messages.get()

    async def decide(self, item: Item, decision: str = GRANTED) -> bool:
        self._bus.publish(item, decision)
        return True

    async def requests(self) -> float:
        return 0


class EngineWait:
    """Waits in workflows of an engine. Each wait is an execution, from its start to its end."""

    renews = 0.0

    def __init__(self, name: str, clients: WaitingClients, engine: placet.Engine) -> None:
        self.name = name
        self._clients = clients
        self._engine = engine
        self._asked: dict[str, asyncio.Future[placet.Approval]] = {}
        self._told: dict[str, asyncio.Future[None]] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, clients: WaitingClients) -> AsyncIterator["EngineWait"]:
        """Run an engine that waits in this way, and collect the approvals that it requests."""
        queue = name.replace(", ", "-").replace(" ", "-")
        server, mode = clients.server, ENGINE_METHODS[name]
        engine = placet.Engine(server.url, token=server.tokens["engine"], queues=[queue], wait=mode)
        way = cls(name, clients, engine)

        @engine.workflow
        async def waits(run: placet.Run) -> None:
            policy = placet.require(1, group="finance")
            await run.approval("Go on?", payload={"n": 1}, policy=policy)
            way._told[run.execution_id].set_result(None)

        async with engine:
            seeing = asyncio.create_task(way._see())
            try:
                yield way
            finally:
                seeing.cancel()
                await asyncio.wait([seeing])

    async def make(self, number: int) -> Sequence[Item]:
        items = [str(uuid4()) for _ in range(number)]
        loop = asyncio.get_running_loop()
        self._asked |= {item: loop.create_future() for item in items}
        self._told |= {item: loop.create_future() for item in items}
        return items

    async def wait(self, item: Item) -> object:
        [queue] = self._engine.queues
        await self._clients.waiter.start("waits", id=item, queue=queue)
        await self._told[item]
        return item

    async def decide(self, item: Item, decision: str = GRANTED) -> bool:
        assert decision == GRANTED, "a rejection would raise an exception in the workflow"
        await self._clients.approver.grant(await self._asked[item])
        return True

    async def requests(self) -> float:
        return await answered(self._clients.server)

    async def _see(self) -> None:
        pending = placet.ApprovalFilter(status=[placet.ApprovalStatus.PENDING], workflow=["waits"])
        async with aclosing(self._clients.approver.approvals_stream(pending)) as messages:
            async for message in messages:
                approval = message.approval
                asked = None if approval is None else self._asked.get(approval.execution_id)
                if asked is not None and approval is not None and not asked.done():
                    asked.set_result(approval)


async def answered(server: Stack) -> float:
    """Return how many operations a server has answered over HTTP."""
    async with httpx.AsyncClient() as http:
        told = (await http.get(f"{server.url}/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name == "placet_graphql_requests_total"
    )


async def by_push(client: placet.Client, approval: placet.Approval) -> object:
    """Wait on the client's WebSocket."""
    return await client.wait_for(approval)


async def by_long_poll(client: placet.Client, approval: placet.Approval) -> object:
    """Wait by long polling."""
    return await client.wait_for(approval, mode="poll")


async def by_poll(client: placet.Client, approval: placet.Approval) -> object:
    """Wait by polling."""
    return await client.wait_for(approval, mode="poll", poll=POLL_SECONDS)


async def by_watch(client: placet.Client, approval: placet.Approval) -> object:
    """Wait on a state that the client keeps up to date."""
    async with client.watch(approval.execution_id) as watch:
        return await watch.until(placet.ExecutionState.RESUMED)


POLL, PUSH, WATCH, LONG = (
    f"polling every {POLL_SECONDS:g} s",
    "push",
    "state in the process",
    "long poll",
)
PLACET_METHODS: dict[str, tuple[Wait, float]] = {
    POLL: (by_poll, POLL_SECONDS),
    PUSH: (by_push, 0.0),
    WATCH: (by_watch, 0.0),
    LONG: (by_long_poll, MAX_WAIT.total_seconds()),
}
"""Each with the seconds between the requests of one wait."""

ENGINE_PUSH, ENGINE_POLL = "engine, push", "engine, long poll"
ENGINE_METHODS: dict[str, Mode] = {ENGINE_PUSH: "push", ENGINE_POLL: "poll"}
