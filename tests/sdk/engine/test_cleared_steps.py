"""A step with a clearance that something stops: nobody knows whether it was done."""

import asyncio
from threading import Event
from typing import Any

import pytest

from placet import Clearance, Doubt, Engine, Run, StepFailed, require
from placet.engine.failure_codec import is_doubt, readable
from placet.testing import Trial
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until

FINANCE = require(1, group="finance")


class Bank:
    """Work that does not end by itself. ``begun`` is set once it was begun."""

    def __init__(self) -> None:
        self.begun, self.stopped = asyncio.Event(), asyncio.Event()
        self.never, self.go = asyncio.Event(), Event()
        self.times = 0

    async def hangs(self) -> None:
        self.times += 1
        self.begun.set()
        await self.never.wait()

    async def converts(self) -> None:
        try:
            await self.hangs()
        except asyncio.CancelledError:
            msg = "the line is dead"
            raise OSError(msg) from None

    async def does_not_stop(self) -> None:
        try:
            await self.hangs()
        finally:
            self.stopped.set()
            await self.never.wait()

    def blocks(self) -> None:
        self.times += 1
        self.go.wait()


async def granted(trial: Trial) -> None:
    trial.grant(await trial.approval())


async def cleared(run: Run) -> Clearance:
    return await run.approval("Pay", payload={}, policy=FINANCE)


def records(trial: Trial) -> list[str]:
    """Return the failures that were recorded of the step."""
    return [event.data["error"] for event in trial.events if event.type == "StepFailed"]


@pytest.mark.parametrize("work", ["hangs", "converts", "blocks"])
async def test_a_timeout_after_redemption_is_a_doubt(work: str) -> None:
    bank = Bank()

    async def paying(run: Run) -> str:
        try:
            await run.step(getattr(bank, work), clearance=await cleared(run), timeout=0.05)
        except Doubt as doubt:
            return str(doubt)
        return "paid"

    async with Trial(paying) as trial:
        await granted(trial)
        said = await trial.result()
    bank.go.set()
    assert "gave no result within 0.05 s: it may have been done" in said
    assert [is_doubt(text) for text in records(trial)] == [True]
    assert bank.times == 1


async def test_what_a_step_raises_itself_is_a_failure_and_no_doubt() -> None:
    async def slow_line() -> None:
        msg = "no answer"
        raise TimeoutError(msg)

    async def paying(run: Run) -> str:
        try:
            await run.step(slow_line, clearance=await cleared(run), timeout=60)
        except StepFailed as failed:
            return str(failed)
        return "paid"

    async with Trial(paying) as trial:
        await granted(trial)
        assert "TimeoutError: no answer" in await trial.result()


@pytest.mark.parametrize("work", ["hangs", "converts"])
async def test_one_that_the_workflow_cancels_is_recorded_as_a_doubt(work: str) -> None:
    bank = Bank()

    async def paying(run: Run) -> str:
        step = asyncio.create_task(run.step(getattr(bank, work), clearance=await cleared(run)))
        await run.signal("stop")
        step.cancel()
        await asyncio.wait({step})
        await run.signal("end")
        return "stopped"

    async with Trial(paying) as trial:
        await granted(trial)
        await bank.begun.wait()
        trial.signal("stop")
        await trial.pending()
        [recorded] = records(trial)
        trial.signal("end")
        assert await trial.result() == "stopped"
    assert "was cancelled: it may have been done" in readable(recorded)
    assert is_doubt(recorded)


async def test_one_that_is_left_behind_is_recorded_before_the_execution_ends() -> None:
    bank = Bank()

    async def leaving(run: Run) -> str:
        step = asyncio.create_task(run.step(bank.hangs, clearance=await cleared(run)))
        await run.signal("stop")
        del step
        return "left"

    async with Trial(leaving) as trial:
        await granted(trial)
        await bank.begun.wait()
        trial.signal("stop")
        assert await trial.result() == "left"
    assert [event.type for event in trial.events][-2:] == ["StepFailed", "Completed"]
    assert [is_doubt(text) for text in records(trial)] == [True]


async def test_a_doubt_that_one_engine_could_not_record_is_recorded_by_the_next(
    people: People, engine: Made
) -> None:
    bank = Bank()

    def add(to: Engine) -> Engine:
        @to.workflow
        async def gives_up(run: Run) -> str:
            step = asyncio.create_task(
                run.step(bank.does_not_stop, clearance=await cleared(run), key="pay")
            )
            await run.signal("stop")
            step.cancel()
            await asyncio.wait({step})
            await run.signal("end")
            return "gave up"

        return to

    async with add(engine()) as one:
        execution_id = await started(people, one, "gives_up")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        await bank.begun.wait()
        operator = await people.get("operator")
        await operator.signal(execution_id, "stop")
        await bank.stopped.wait()
    async with add(engine()):

        async def recorded() -> Any:
            history = await operator.history(execution_id)
            assert history is not None
            return history.steps or None

        [step] = await until(recorded)
        await operator.signal(execution_id, "end")
        assert (await people.ended(execution_id)).result == "gave up"
    assert is_doubt(step.error or "")
    assert bank.times == 1
