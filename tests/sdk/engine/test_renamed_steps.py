"""A key stands for one step: recorded under another name, it parks the execution."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from placet import Engine, ExecutionState, Run, require
from placet.errors import Nondeterministic
from placet.testing import replay
from tests.sdk.engines import Made, started
from tests.sdk.people import People

Workflow = Callable[[Run], Coroutine[Any, Any, Any]]


def having(engine: Engine, workflow: Workflow) -> Engine:
    engine.workflow(name="renaming")(workflow)
    return engine


def down() -> None:
    msg = "down"
    raise OSError(msg)


async def old(run: Run) -> None:
    await run.step(down, name="pay", key="k")


async def mended(run: Run) -> str:
    return await run.step(str, "paid", name="pay", key="k")


async def renamed(run: Run) -> str:
    return await run.step(str, "paid", name="charge", key="k")


async def long_titled(run: Run) -> None:
    await run.approval("T" * 501, payload=1, policy=require(1, group="finance"), key="k")


async def failed(people: People, engine: Engine, workflow: Workflow) -> str:
    """Have an execution fail and retried, to be claimed by another engine."""
    async with having(engine, workflow) as one:
        execution_id = await started(people, one, "renaming")
        ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.FAILED
    await (await people.get("operator")).retry(ended)
    return execution_id


async def test_a_failed_step_that_is_called_otherwise_after_a_retry_parks(
    people: People, engine: Made
) -> None:
    execution_id = await failed(people, engine(), old)
    async with having(engine(), renamed):
        assert await people.parked(execution_id) == (
            "step 'k' was recorded under the name 'pay', the workflow now calls it 'charge':"
            " what is another step needs another key"
        )
    operator = await people.get("operator")
    transcript = await operator.transcript(execution_id)
    assert transcript is not None
    with pytest.raises(Nondeterministic, match="now calls it 'charge'"):
        replay(transcript, renamed)
    replay(transcript, mended)
    async with having(engine(), mended):
        await operator.unpark(execution_id)
        assert (await people.ended(execution_id, after=transcript.execution.version)).result


async def test_one_that_is_asked_for_later_parks_too(people: People, engine: Made) -> None:
    begun: list[str] = []

    def charge() -> str:
        begun.append("charge")
        return "charged"

    async def later(run: Run) -> str:
        await run.step(str, "first", name="first")
        try:
            return await run.step(charge, key="k")
        except Exception:  # noqa: BLE001 - it is not for the workflow to see
            return "caught"

    execution_id = await failed(people, engine(), old)
    async with having(engine(), later):
        assert "the workflow now calls it 'charge'" in await people.parked(execution_id)
    assert begun == []


async def test_what_is_another_kind_of_thing_now_parks(people: People, engine: Made) -> None:
    execution_id = await failed(people, engine(), long_titled)
    async with having(engine(), renamed):
        assert "under the name 'approval'" in await people.parked(execution_id)


async def test_a_refusal_that_can_not_be_recorded_parks(people: People, engine: Made) -> None:
    execution_id = await failed(people, engine(), old)
    async with having(engine(), long_titled):
        assert await people.parked(execution_id) == (
            "approval 'k' can't be recorded, because its key was used for something else:"
            " step 'k' was recorded under the name 'pay'; what is another step needs another key"
        )


async def test_a_step_whose_key_was_taken_meanwhile_parks(people: People, engine: Made) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go.wait()

    async def working(run: Run) -> None:
        await run.step(work, key="k")

    async with having(engine(), working) as only:
        execution_id = await started(people, only, "renaming")
        await begun.wait()
        worker = await people.get("engine")
        await worker.record_step(execution_id, "k", name="other", fence=1)
        go.set()
        assert "was recorded under the name 'other'" in await people.parked(execution_id)
