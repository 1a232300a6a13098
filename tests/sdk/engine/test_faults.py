"""Faults that are not the workflow's: it is given back, later each time, and goes on elsewhere."""

import asyncio
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest

from placet import Engine, ExecutionState, Run, require
from placet.engine import history
from placet.errors import Internal
from tests.sdk.engines import Made, reading, started
from tests.sdk.people import People

FINANCE = require(1, group="finance")


class Faults:
    """The first reads of a record by an engine fail. ``loaded`` is when each read began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, pause: float) -> None:
        self.loaded: list[float] = []
        self.begun = asyncio.Event()
        self._left = number
        self._read = history.load
        monkeypatch.setattr("placet.engine.fault_pauses.GIVE_BACK_SECONDS", pause)
        monkeypatch.setattr("placet.engine.execution_pool.load", self._load)

    async def _load(self, *args: Any) -> Any:
        self.loaded.append(monotonic())
        if self._left:
            self._left -= 1
            self.begun.set()
            raise Internal("a fault of the service")
        return await self._read(*args)


async def granted(people: People, one: Engine) -> str:
    """Have an engine run ``asks``, and grant what it asks for once the engine is gone."""
    async with one:
        execution_id = await started(people, one, "asks")
        [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    return execution_id


async def test_the_workflow_does_not_fail_and_is_tried_less_and_less_often(
    people: People, engine: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(monkeypatch, 4, pause=0.05)
    one, other = engine(), reading(engine())

    async def asks(run: Run) -> str:
        clearance = await run.approval("Trip", payload={}, policy=FINANCE)
        return await run.step(str, "done", clearance=clearance)

    one.workflow(asks)
    other.workflow(asks)
    execution_id = await granted(people, one)
    async with other:
        ended = await people.ended(execution_id)
    assert (ended.state, ended.result) == (ExecutionState.COMPLETED, "done")
    # Given back four times by the second, so claimed five times by it.
    assert ended.fence == 6
    pauses = [after - before for before, after in pairwise(faults.loaded[:5])]
    # Twice as long each time, less the half that chance may take.
    assert all(pause >= 0.025 * 2**n for n, pause in enumerate(pauses))


async def test_what_was_claimed_anew_is_not_given_back_for_an_older_fault(
    people: People, engine: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(monkeypatch, 1, pause=0.5)
    working, go = asyncio.Event(), asyncio.Event()
    one, other = engine(), reading(engine())

    async def work() -> str:
        working.set()
        await go.wait()
        return "done"

    async def asks(run: Run) -> str:
        await run.approval("Trip", payload={}, policy=FINANCE)
        return await run.step(work)

    one.workflow(asks)
    other.workflow(asks)
    execution_id = await granted(people, one)
    async with other:
        await faults.begun.wait()
        await (await people.get("engine")).park(execution_id, "a look at it", fence=2)
        await (await people.get("operator")).unpark(execution_id)
        await working.wait()
        await asyncio.wait(other.pool._chores)
        go.set()
        ended = await people.ended(execution_id)
    # By the first engine, then twice by the second.
    assert (ended.state, ended.result, ended.fence) == (ExecutionState.COMPLETED, "done", 3)
