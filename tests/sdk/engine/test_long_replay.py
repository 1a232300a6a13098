"""Replays of long histories: they take the same path as the run, in few turns of the loop."""

import asyncio
from typing import Any

import pytest

from placet import Run
from placet.engine.event_loop import WorkflowLoop
from placet.errors import Nondeterministic, StepFailed
from placet.testing import Trial, replay
from tests.support.patience import HANGS

STEPS = 300


async def ten_times(number: int) -> int:
    return 10 * number


async def in_order(run: Run) -> list[int]:
    return [await run.step(ten_times, number) for number in range(STEPS)]


async def racing(run: Run) -> list[str]:
    """Three tasks of which each goes on with its next step when its last one has ended."""
    order: list[str] = []

    async def steps(name: str) -> None:
        for number in range(5):
            await run.step(ten_times, number)
            order.append(f"{name}{number}")

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(steps(name))
    order.append(str(await run.step(ten_times, 7)))
    return order


async def cancelling(run: Run) -> list[str]:
    """A task that is cancelled right before it asks for a step."""
    order: list[str] = []

    async def cancelled() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await run.step(ten_times, 1, key="maybe")
        except asyncio.CancelledError:
            order.append("cancelled")
            raise
        order.append("not cancelled")

    await asyncio.wait([asyncio.create_task(cancelled())])
    order.append(str(await run.step(ten_times, 2)))
    return order


async def timed(run: Run) -> list[object]:
    found: list[object] = []
    for number in range(4):
        async with asyncio.timeout(HANGS):
            found.append(await run.step(ten_times, number))
    found.append(asyncio.get_running_loop().time())
    return found


async def failing(run: Run) -> list[object]:
    tries = 0

    async def fails(number: int) -> int:
        nonlocal tries
        tries += 1
        if tries % 2:
            raise ValueError(number)
        return number

    found: list[object] = [await run.step(fails, 1, retries=1)]
    try:
        await run.step(fails, 2)
    except StepFailed as error:
        found.append(str(error))
    found.append(await run.step(ten_times, 3))
    return found


@pytest.mark.parametrize("workflow", [in_order, racing, cancelling, timed, failing])
async def test_a_replay_takes_the_path_of_the_run(workflow: Any) -> None:
    async with Trial(workflow) as trial:
        # At the end of the trial the record is replayed, and its result compared.
        await trial.result()


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[WorkflowLoop]:
    """Give the loops that were pumped, one for each time."""
    pumped: list[WorkflowLoop] = []
    pump = WorkflowLoop.pump

    def counted(loop: WorkflowLoop) -> None:
        pumped.append(loop)
        pump(loop)

    monkeypatch.setattr(WorkflowLoop, "pump", counted)
    return pumped


async def test_recorded_steps_in_order_take_no_turn_of_the_loop_each(
    turns: list[WorkflowLoop],
) -> None:
    async with Trial(in_order) as trial:
        assert await trial.result() == [10 * number for number in range(STEPS)]
        assert len(turns) > STEPS
        transcript = trial._service.transcript()
        turns.clear()
        replay(transcript, in_order)
        assert len(turns) < 5


async def test_a_difference_behind_many_steps_is_found_where_it_is() -> None:
    async def changed(run: Run) -> None:
        for number in range(STEPS):
            name = "ten_times" if number < STEPS - 1 else "changed"
            await run.step(ten_times, number, name=name, key=f"ten_times-{number + 1}")

    async with Trial(in_order) as trial:
        await trial.result()
        with pytest.raises(Nondeterministic, match=f"'ten_times-{STEPS}'.* name 'ten_times'"):
            replay(trial._service.transcript(), changed)


async def test_a_key_that_is_used_twice_is_refused_in_a_replay_too() -> None:
    async def twice(run: Run) -> str:
        await run.step(ten_times, 1, key="one")
        try:
            await run.step(ten_times, 2, key="one")
        except ValueError as error:
            return str(error)
        return "taken"

    async with Trial(twice) as trial:
        assert "is used twice in one run" in await trial.result()
