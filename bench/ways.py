"""The ways to wait that are measured, behind one face: make, wait, decide, count."""

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol
from uuid import uuid4

import httpx
from prometheus_client.parser import text_string_to_metric_families

import placet
from bench.alternatives import Bus, Table
from bench.stack import Stack
from placet.changes import LONG_POLL
from placet.commands import RequestApproval, StartExecution

POLL_SECONDS = 0.5
IN_ONE_SUBMIT = 100

Item = Any
"""What is waited for: an approval, a row's id, or a topic."""


class Way(Protocol):
    """A way to wait. ``renews``: seconds from one request of a wait to the next, 0 without any."""

    name: str
    renews: float

    async def make(self, number: int) -> Sequence[Item]:
        """Make so many items that wait for a decision."""

    async def wait(self, item: Item) -> None:
        """Wait until the item is decided."""

    def decide(self, item: Item) -> Coroutine[Any, Any, None]:
        """Decide the item."""

    async def requests(self) -> float:
        """Give the number of requests so far that were answered by another process."""


class People:
    """Clients of a server: who asks, who decides, and who waits."""

    def __init__(
        self, server: Stack, engine: placet.Client, approver: placet.Client, waiter: placet.Client
    ) -> None:
        self.server = server
        self.engine = engine
        self.approver = approver
        self.waiter = waiter

    async def asked(self, number: int) -> list[placet.Approval]:
        """Start so many executions and ask for an approval of each."""
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


class OfPlacet:
    """A client of Placet that waits in one of its ways."""

    def __init__(self, name: str, people: People) -> None:
        wait = OF_PLACET[name]
        self.name = name
        self.renews = RENEWS.get(wait, 0.0)
        self._people = people
        self._wait = wait

    async def make(self, number: int) -> Sequence[Item]:
        return await self._people.asked(number)

    async def wait(self, item: Item) -> None:
        await self._wait(self._people.waiter, item)

    async def decide(self, item: Item) -> None:
        await self._people.approver.grant(item)

    async def requests(self) -> float:
        async with httpx.AsyncClient() as http:
            told = (await http.get(f"{self._people.server.url}/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(told)
            for sample in family.samples
            if sample.name == "placet_graphql_requests_total"
        )


class OfBus:
    """Waiters that subscribe to a bus in this process."""

    name = "event bus in memory"
    renews = 0.0

    def __init__(self) -> None:
        self._bus = Bus()

    async def make(self, number: int) -> Sequence[Item]:
        return [f"topic-{number}" for number in range(number)]

    async def wait(self, item: Item) -> None:
        async with self._bus.subscribed(item) as messages:
            await messages.get()

    async def decide(self, item: Item) -> None:
        self._bus.publish(item, "GRANTED")

    async def requests(self) -> float:
        return 0


class OfTable:
    """Waiters on a table with locks."""

    name = "table with locks, polled"
    renews = 0.0

    def __init__(self, table: Table) -> None:
        self._table = table

    async def make(self, number: int) -> Sequence[Item]:
        return await self._table.add(number)

    async def wait(self, item: Item) -> None:
        await self._table.wait(item)

    async def decide(self, item: Item) -> None:
        assert await self._table.decide(item, "GRANTED")

    async def requests(self) -> float:
        return self._table.statements


async def by_push(client: placet.Client, approval: placet.Approval) -> object:
    """Wait on the client's WebSocket."""
    return await client.wait_for(approval)


async def by_long_poll(client: placet.Client, approval: placet.Approval) -> object:
    """Wait by requests that are put off."""
    return await client.wait_for(approval, mode="poll")


async def by_poll(client: placet.Client, approval: placet.Approval) -> object:
    """Wait by asking again and again."""
    return await client.wait_for(approval, mode="poll", poll=POLL_SECONDS)


async def by_watch(client: placet.Client, approval: placet.Approval) -> object:
    """Wait on a state that is kept here."""
    async with client.watch(approval.execution_id) as watch:
        return await watch.until(placet.ExecutionState.RESUMED)


POLL, PUSH, WATCH, LONG = (
    f"polling every {POLL_SECONDS:g} s",
    "push",
    "state in the process",
    "long poll",
)
OF_PLACET = {POLL: by_poll, PUSH: by_push, WATCH: by_watch, LONG: by_long_poll}
RENEWS = {by_poll: POLL_SECONDS, by_long_poll: LONG_POLL.total_seconds()}
