"""Children in a trial: their results come from the test."""

import asyncio
from typing import Any

import pytest

from placet import Run
from placet.errors import ChildFailed
from placet.testing import Trial
from placet.testing.trial import TrialFailed
from tests.sdk.engine.test_result_types import Offer
from tests.sdk.trials import result


async def test_children_give_results_or_fail() -> None:
    def broken(_: Any) -> None:
        msg = "no"
        raise OSError(msg)

    async def workflow(run: Run) -> list[Any]:
        squared = await run.child("square", 3)
        with pytest.raises(ChildFailed, match="child 'broken-1' was failed: OSError: no"):
            await run.child("broken")
        return [squared]

    children = {"square": lambda number: number * number, "broken": broken}
    async with Trial(workflow, children=children) as trial:
        assert await trial.result() == [9]


async def test_a_child_may_be_an_async_function() -> None:
    async def square(number: int) -> int:
        await asyncio.sleep(0)
        return number * number

    async def broken(_: Any) -> None:
        raise OSError("no")

    async def workflow(run: Run) -> Any:
        with pytest.raises(ChildFailed, match="child 'broken-1' was failed: OSError: no"):
            await run.child("broken")
        return await asyncio.gather(run.child("square", 3), run.child("square", 4))

    async with Trial(workflow, children={"square": square, "broken": broken}) as trial:
        assert await trial.result() == [9, 16]


async def test_a_child_that_the_trial_lacks_is_named() -> None:
    async def workflow(run: Run) -> Any:
        return await run.child("square", 3)

    with pytest.raises(TrialFailed, match="the trial has no child 'square': give it by children="):
        await result(workflow)


async def test_a_child_s_result_that_can_not_be_read_parks() -> None:
    async def workflow(run: Run) -> Any:
        return await run.child("square", 3, kind=Offer)

    children = {"square": lambda _: {"quotes": "many"}}
    with pytest.raises(TrialFailed, match="parked: the recorded result of child 'square-1'"):
        async with Trial(workflow, children=children) as trial:
            await trial.result()
