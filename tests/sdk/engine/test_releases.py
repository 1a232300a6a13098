"""A release whose answer was lost is repeated, maybe when its worker holds a later claim."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from placet import Engine, ExecutionState, Run, require
from placet.client.transport.operations.leases import Released
from placet.engine import history
from placet.errors import Internal, Unavailable
from tests.sdk.engines import maker, reading, started
from tests.sdk.people import People, Server
from tests.support.patience import HANGS
from tests.support.proxy import HttpWire

FINANCE = require(1, group="finance")


@dataclass
class Behind:
    """A server, as it is reached through a wire."""

    url: str
    tokens: dict[str, str]


class Working:
    """A workflow whose last step begins when the claim that is not to be given back is there."""

    def __init__(self) -> None:
        self.begun = 0
        self.repeated: list[Any] = []
        self.under_way = asyncio.Event()
        self.go = asyncio.Event()

    async def asks(self, run: Run) -> str:
        await run.approval("Trip", payload={}, policy=FINANCE)
        return await run.step(self.work)

    async def work(self) -> str:
        self.begun += 1
        self.under_way.set()
        await self.go.wait()
        return "done"


@pytest.fixture
def wire(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpWire]:
    """Commands go by HTTP, where the wire can read them."""
    monkeypatch.setattr("placet.client.transport.graphql_ws.MAX_CARRIED", 0)
    with HttpWire.open(server.url) as opened:
        yield opened


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> Working:
    """Have what has no answer repeated only while the last step is under way."""
    flow = Working()

    async def retried(
        _: float | None, fn: Callable[..., Awaitable[Any]], *args: Any, **__: Any
    ) -> Any:
        try:
            return await fn(*args)
        except Unavailable:
            await flow.under_way.wait()
            answer = await fn(*args)
            flow.repeated.append(answer)
            return answer

    monkeypatch.setattr("placet.client.transport.http.retried", retried)
    return flow


async def grant(people: People, execution_id: str) -> None:
    [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)


async def kept(
    people: People, engine: Engine, working: Working, wire: HttpWire, execution_id: str
) -> int:
    """Have the release repeated, and give the fence under which the execution then ends."""
    async with asyncio.timeout(HANGS):
        await working.under_way.wait()
        assert wire.lost == 1
        await asyncio.wait(engine.pool._chores)
    assert working.repeated == [Released(0)]
    working.go.set()
    ended = await people.ended(execution_id)
    assert (ended.state, ended.result, working.begun) == (ExecutionState.COMPLETED, "done", 1)
    return ended.fence


async def test_after_a_fault(
    people: People,
    server: Server,
    wire: HttpWire,
    working: Working,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, faults = history.load, [Internal("a fault of the service")]

    async def fails_once(*args: Any) -> Any:
        if faults:
            raise faults.pop()
        return await load(*args)

    monkeypatch.setattr("placet.engine.fault_pauses.GIVE_BACK_SECONDS", 0.01)
    made = maker(Behind(wire.url, server.tokens))
    async with made() as earlier:
        earlier.workflow(working.asks)
        execution_id = await started(people, earlier, "asks")
        await people.pending(execution_id)
    await grant(people, execution_id)
    monkeypatch.setattr("placet.engine.execution_pool.load", fails_once)
    wire.lose_replies_to = b"releaseExecutions"
    async with reading(made()) as engine:
        engine.workflow(working.asks)
        # By the first engine, then twice by the second.
        assert await kept(people, engine, working, wire, execution_id) == 3


@pytest.mark.parametrize("noticed", [False, True])
async def test_after_it_was_put_back_to_wait(
    people: People, server: Server, wire: HttpWire, working: Working, *, noticed: bool
) -> None:
    """What an engine knows to be lost it does not name again: each poll would come back at once."""
    wire.lose_replies_to = b"releaseExecutions"
    async with maker(Behind(wire.url, server.tokens))(wait="poll") as engine:
        engine.workflow(working.asks)
        execution_id = await started(people, engine, "asks")
        await people.pending(execution_id)
        async with asyncio.timeout(HANGS):
            while noticed and (not wire.lost or engine.pool.holding()):
                await asyncio.sleep(0.01)
        assert working.repeated == []
        await grant(people, execution_id)
        assert await kept(people, engine, working, wire, execution_id) == 2


async def test_after_it_was_parked(
    people: People, server: Server, wire: HttpWire, working: Working
) -> None:
    wire.lose_replies_to = b"releaseExecutions"
    engine = maker(Behind(wire.url, server.tokens))()

    @engine.workflow(name="asks")
    async def parks(_: Run) -> None:
        await asyncio.get_running_loop().create_future()

    async with engine:
        execution_id = await started(people, engine, "asks")
        await people.parked(execution_id)
        engine._workflows._known.clear()
        engine.workflow(working.asks)
        await (await people.get("operator")).unpark(execution_id)
        await grant(people, execution_id)
        assert await kept(people, engine, working, wire, execution_id) == 2


async def test_after_the_service_was_away_for_longer_than_a_client_tries(
    people: People, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls = maker(server)(wait="poll", put_away=timedelta(seconds=0.05))
    release, left = polls.client.leases.release, iter(range(2))

    async def away(*args: Any, **given: Any) -> int:
        if next(left, None) is not None:
            raise Unavailable("no answer for as long as the client tried")
        return await release(*args, **given)

    monkeypatch.setattr(polls.client.leases, "release", away)

    @polls.workflow
    async def asks(run: Run) -> str:
        await run.approval("Trip", payload={}, policy=FINANCE)
        return "done"

    async with polls:
        execution_id = await started(people, polls, "asks")
        await people.pending(execution_id)
        # Of what is held, the poll under way then says nothing yet; another start ends it.
        for _ in range(2):
            await people.pending(await started(people, polls, "asks"))
        await grant(people, execution_id)
        assert (await people.ended(execution_id)).result == "done"
    assert next(left, None) is None
