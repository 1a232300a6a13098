"""How an engine begins and ends: wrong arguments, signals of the system, a service that is away."""

import asyncio
import os
import signal
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from placet import (
    Engine,
    ExecutionState,
    Run,
)
from placet.client.transport.graphql_ws import GraphQLWebSocket
from placet.errors import Unauthenticated
from tests.sdk.engine.test_worker import FINANCE, patient
from tests.sdk.engines import Made, started
from tests.sdk.people import People, Server
from tests.support.patience import HANGS
from tests.support.proxy import HttpWire


async def test_it_says_what_it_waits_for_and_where_to_look(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(server.url, token="nonsense", queues=["trips", "visas"])

    @engine.workflow(name="travel")
    async def travel(run: Run) -> None: ...

    with pytest.raises(Unauthenticated):
        await engine.serve()
    first = capfd.readouterr().err.splitlines()[0]
    assert first == (
        f"placet: the engine {engine.worker} waits for executions of travel"
        f" on the queues trips, visas; see {server.url}/executions, or `placet executions`"
    )


@pytest.mark.parametrize("when", ["at work", "waiting"])
async def test_sigterm_ends_serving_and_gives_executions_back(
    people: People, engine: Made, when: str
) -> None:
    """Without waiting for its lease another goes on; with what waits, when there is something."""
    approver = await people.get("approver-a")
    begun, goes_on = asyncio.Event(), asyncio.Event()
    lasting: dict[str, Any] = {"lease": timedelta(hours=1), "grace": None}
    served, other = engine(**lasting), engine(**lasting)

    async def work() -> None:
        begun.set()
        await goes_on.wait()

    def add(to: Engine) -> None:
        @to.workflow(name="waits")
        async def waits(run: Run) -> str:
            await run.approval("Trip", payload={}, policy=FINANCE)
            return to.worker

        @to.workflow(name="works")
        async def works(run: Run) -> str:
            await run.step(work)
            return to.worker

    add(served)
    add(other)
    serving = asyncio.create_task(served.serve())
    waiting = await started(people, served, "waits")
    [approval] = await people.pending(waiting)
    working = None
    if when == "at work":
        working = await started(people, served, "works")
        async with asyncio.timeout(HANGS):
            await begun.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(HANGS):
        await serving
    goes_on.set()
    async with other:
        ended = await people.ended(working or await started(people, other, "works"))
        assert (ended.result, ended.fence) == (other.worker, 2 if working else 1)
        # It was free for longer, but there is nothing to do for it yet.
        held = await (await people.get("operator")).execution(waiting)
        assert held is not None
        assert (held.state, held.fence) == (ExecutionState.WAITING_APPROVAL, 1)
        await approver.grant(approval)
        ended = await people.ended(waiting)
        assert (ended.result, ended.fence) == (other.worker, 2)


async def test_an_end_that_came_while_the_connection_was_away_is_found_out(
    people: People, engine: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = await people.get("operator")
    stopped, back = asyncio.Event(), asyncio.Event()
    dial = GraphQLWebSocket.open

    async def held_up(*args: object) -> GraphQLWebSocket:
        await back.wait()
        return await dial(*args)  # type: ignore[arg-type]

    async with patient(engine(), stopped) as waiting:
        execution_id = await started(people, waiting, "patient")
        await people.pending(execution_id)
        monkeypatch.setattr("placet.client.transport.reconnecting.GraphQLWebSocket.open", held_up)
        await waiting.client.socket.close()
        await operator.cancel(execution_id, "no longer needed")
        back.set()
        async with asyncio.timeout(HANGS):
            await stopped.wait()
    assert (await people.ended(execution_id)).state is ExecutionState.CANCELLED


async def test_an_engine_that_reaches_nobody_says_so_at_once(
    caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    engine = Engine(f"http://127.0.0.1:{unused_tcp_port}", token="none")
    engine.client.retry_for = 0.1
    async with asyncio.timeout(HANGS), engine:
        while not caplog.records:
            await asyncio.sleep(0.01)
    [first, *_] = caplog.records
    assert first.levelname == "WARNING"
    assert str(unused_tcp_port) in first.message
    assert "leases" not in caplog.text


@pytest.mark.parametrize("away", ["down", "silent"])
async def test_an_engine_ends_soon_while_its_service_is_away(
    people: People, server: Server, caplog: pytest.LogCaptureFixture, away: str
) -> None:
    with HttpWire.open(server.url) as wire:
        queue = f"queue-{uuid4()}"
        engine = patient(
            Engine(
                wire.url,
                token=server.tokens["engine"],
                queues=[queue],
                lease=timedelta(hours=1),
            ),
            asyncio.Event(),
        )
        engine.client.retry_for = 3600
        async with engine:
            execution_id = await started(people, engine, "patient")
            await people.pending(execution_id)
            setattr(wire, away, True)
            if away == "down":
                wire.cut()
            async with asyncio.timeout(HANGS):
                await engine.close()
    [told] = [each.getMessage() for each in caplog.records if "released" in each.getMessage()]
    assert "when their leases end, at most 3600 s after" in told
    assert f"no answer from {wire.url}" in told


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"drain": 2}, "drain is a timedelta, such as timedelta(seconds=5), not 2"),
        ({"grace": timedelta(seconds=-1)}, "grace is -1 s, it must be 0 s or more"),
        ({"lease": timedelta(seconds=0.5)}, "lease is 0.5 s, it must be 1 s or more"),
        ({"queues": "travel"}, "queues takes a list of names, such as ['travel']"),
    ],
)
def test_what_an_engine_can_t_work_with_is_said_at_once(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        Engine("http://127.0.0.1:8000", token="t", **wrong)
    assert str(raised.value) == said
