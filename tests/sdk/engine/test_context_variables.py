"""Context variables that a workflow sets are seen by the steps that it does then."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from placet import Run, require
from tests.sdk.engines import Made, started
from tests.sdk.people import People
from tests.sdk.trials import result

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


async def of_async() -> str:
    return tenant.get()


def of_thread() -> str:
    return tenant.get()


@pytest.mark.parametrize("read", [of_async, of_thread])
async def test_in_the_first_step_and_in_those_after_it(read: Callable[[], Any]) -> None:
    async def workflow(run: Run) -> list[str]:
        tenant.set("first")
        seen = [await run.step(read)]
        tenant.set("second")
        return [*seen, await run.step(read)]

    assert await result(workflow) == ["first", "second"]
    assert tenant.get() == "nobody"


async def test_after_a_replay(people: People, engine: Made) -> None:
    one, other = engine(), engine()
    for each in (one, other):

        @each.workflow
        async def goes_on(run: Run) -> str:
            tenant.set("kept")
            await run.approval("Go on", payload=1, policy=require(1, group="finance"))
            return await run.step(of_async)

    async with one:
        execution_id = await started(people, one, "goes_on")
        [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    async with other:
        assert (await people.ended(execution_id)).result == "kept"
