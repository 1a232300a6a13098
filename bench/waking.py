"""How long a workflow with a long history takes to go on after a decision."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import placet
from bench.measure import Bound, Result, percentile
from bench.stack import Stack, stack
from placet import Engine, Run
from placet.engine import idle_runners
from placet.engine.argument_digest import arguments_digest
from placet.engine.execution_runner import ExecutionRunner
from placet.models.commands import RecordStep

LENGTHS = (100, 1_000, 10_000)
WAKES = 9
BATCH = 250
QUEUE = "long"
PUT_AWAY = timedelta(seconds=0.05)
MAX_MS = 100.0
FINANCE = placet.require(1, group="finance")


async def prepare(number: int) -> dict[str, Any]:
    return {"number": number, "text": "what a step may have found"}


@dataclass
class Actors:
    """Clients that start and decide, and the worker that recorded the steps."""

    operator: placet.Client
    recorder: placet.Client
    approver: placet.Client


async def run(url: str) -> Result:
    """Measure."""
    result = Result("From grantApproval sent to the next line of a workflow with a long history")
    with tempfile.TemporaryDirectory() as data, stack(Path(data), database_url=url) as server:
        async with AsyncExitStack() as opened:
            actors = Actors(
                *[
                    await opened.enter_async_context(placet.Client(server.url, server.tokens[name]))
                    for name in ("operator", "engine", "approver-b")
                ]
            )
            stayed: list[float] = []
            for length in LENGTHS:
                stayed, woken, taken = await _measured(actors, server, length)
                result.add(
                    f"{length:,} steps",
                    **{
                        "p50 ms": percentile(stayed, 0.5) * 1000,
                        "max ms": max(stayed) * 1000,
                        "put away, p50 ms": percentile(woken, 0.5) * 1000,
                        "new engine, p50 ms": percentile(taken, 0.5) * 1000,
                        "n": len(stayed),
                    },
                )
    what = f"wake with {LENGTHS[-1]:,} steps, p50 ms"
    result.bounds.append(Bound(what, percentile(stayed, 0.5) * 1000, MAX_MS, at_least=False))
    return result


async def _measured(
    actors: Actors, server: Stack, length: int
) -> tuple[list[float], list[float], list[float]]:
    """Wake an execution again and again: as engines do, if it is put away, and by new ones."""
    execution_id = await _recorded(actors, length)
    stayed: list[float] = []
    woken: list[float] = []
    taken: list[float] = []
    async with _engine(server, length) as waking:
        stayed += [await waking.woken(actors, execution_id, n) for n in range(1, WAKES + 1)]
    first = WAKES + 2
    with _all_put_away():
        async with _engine(server, length) as waking:
            await waking.decided(actors, execution_id, first - 1)
            for number in range(first, first + WAKES):
                woken.append(await waking.woken(actors, execution_id, number))  # noqa: PERF401
    for number in range(first + WAKES, first + 2 * WAKES):
        # The engine before has given it back, and a decision lets this one claim it.
        async with _engine(server, length) as waking:
            taken.append(await waking.decided(actors, execution_id, number))
            await waking.rested(execution_id, number + 1)
    return stayed, woken, taken


async def _recorded(actors: Actors, length: int) -> str:
    """Start an execution, and record its steps as a worker would."""
    workflow = f"long-{length}"
    started = (await actors.operator.start(workflow, queue=QUEUE)).execution
    assert started is not None
    execution_id = started.id
    [claim] = await actors.recorder.claim("recorder", queues=[QUEUE])
    for start in range(0, length, BATCH):
        await actors.recorder.submit(
            [
                RecordStep(
                    execution_id=execution_id,
                    fence=claim.fence,
                    key=f"prepare-{number + 1}",
                    name="prepare",
                    arguments_digest=arguments_digest((number,), {}),
                    result=await prepare(number),
                )
                for number in range(start, min(start + BATCH, length))
            ]
        )
    await actors.recorder.release("recorder", [execution_id])
    return execution_id


class Waking:
    """An engine with one workflow, and when it came to which of its approvals."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reached: dict[int, asyncio.Future[float]] = {}

    def at(self, number: int) -> None:
        """Note that the workflow has come to an approval."""
        if not self._time(number).done():
            self._time(number).set_result(time.perf_counter())

    async def reached(self, number: int) -> float:
        """Return when the workflow first came to an approval."""
        return await self._time(number)

    async def woken(self, actors: Actors, execution_id: str, number: int) -> float:
        """Wait until the workflow is put away, and decide."""
        await self.rested(execution_id, number)
        return await self.decided(actors, execution_id, number)

    async def rested(self, execution_id: str, number: int) -> None:
        """Wait until the workflow is put away at an approval."""
        await self.reached(number)
        runner = self.engine.pool.runner(execution_id)
        while not self._waits(runner):  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.01)
        # What is put away is put away by now.
        await asyncio.sleep(2 * PUT_AWAY.total_seconds())

    async def decided(self, actors: Actors, execution_id: str, number: int) -> float:
        """Decide, and return the seconds to the workflow's next line."""
        where = placet.ApprovalFilter(
            execution_id=execution_id, status=[placet.ApprovalStatus.PENDING]
        )
        while not (found := list(await actors.operator.approvals(where))):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        began = time.perf_counter()
        granting = asyncio.create_task(actors.approver.grant(found[0]))
        seconds = await self.reached(number + 1) - began
        await granting
        return seconds

    @staticmethod
    def _waits(runner: ExecutionRunner) -> bool:
        return runner.away or (idle_runners.STAYING > 0 and runner.seen is not None)

    def _time(self, number: int) -> "asyncio.Future[float]":
        return self._reached.setdefault(number, asyncio.get_running_loop().create_future())


@contextmanager
def _all_put_away() -> Iterator[None]:
    """Let also long workflows be put away."""
    staying, idle_runners.STAYING = idle_runners.STAYING, 0
    try:
        yield
    finally:
        idle_runners.STAYING = staying


@asynccontextmanager
async def _engine(server: Stack, length: int) -> AsyncIterator[Waking]:
    engine = Engine(server.url, token=server.tokens["engine"], queues=[QUEUE], put_away=PUT_AWAY)
    waking = Waking(engine)

    @engine.workflow(name=f"long-{length}")
    async def long(run: Run) -> None:
        for number in range(length):
            await run.step(prepare, number)
        number = 0
        while True:
            number += 1
            waking.at(number)
            await run.approval(f"Go on? {number}", payload=number, policy=FINANCE)

    async with engine:
        yield waking
