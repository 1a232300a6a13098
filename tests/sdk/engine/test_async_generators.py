"""Async generators of a workflow that are left before their end."""

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from placet import Engine, Run, require
from placet.testing import Trial, replay
from tests.sdk.engines import Made, started
from tests.sdk.people import People

FINANCE = require(1, group="finance")


async def pages(run: Run, kept: list[Any]) -> AsyncIterator[int]:
    try:
        for number in range(3):
            yield number
    finally:
        await run.step(kept.append, "closed", name="close")


@pytest.mark.parametrize("put_away", [False, True])
async def test_a_generator_that_is_left_ends_inside_of_its_workflow(
    people: People, engine: Made, *, put_away: bool
) -> None:
    kept: list[str] = []

    def add(to: Engine) -> Engine:
        @to.workflow
        async def reads(run: Run) -> list[int]:
            read = []
            async for page in pages(run, kept):
                read.append(page)
                if put_away:
                    await run.approval("Go on", payload=page, policy=FINANCE, key="inside")
                break
            await run.approval("Go on", payload=read, policy=FINANCE)
            return read

        return to

    approver = await people.get("approver-a")
    async with add(engine()) as one:
        execution_id = await started(people, one, "reads")
        [approval] = await people.pending(execution_id)
    await approver.grant(approval)
    async with add(engine()):
        if put_away:
            [approval] = [a for a in await people.pending(execution_id) if a.key != "inside"]
            await approver.grant(approval)
        assert (await people.ended(execution_id)).result == [0]
    assert kept == ["closed"]


async def test_one_that_the_garbage_collector_finds_changes_nothing() -> None:
    kept: list[str] = []
    collect = False

    async def workflow(run: Run) -> str:
        generator = pages(run, kept)
        await anext(generator)
        circle = [generator]
        circle.append(circle)  # type: ignore[arg-type]
        del generator, circle
        if collect:
            gc.collect()
        await run.step(str, "a")
        return "done"

    async with Trial(workflow) as trial:
        await trial.result()
        transcript = trial.transcript()
    collect = True
    replay(transcript, workflow)
    assert kept == []
