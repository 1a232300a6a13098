"""A workflow's children, as the service starts and ends them."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from placet import Engine, Run
from placet.errors import ChildFailed, Nondeterministic
from placet.testing import replay
from tests.sdk.engines import Made, started
from tests.sdk.people import People, Server


async def test_a_child_gives_its_result(people: People, engine: Made) -> None:
    parent = engine()

    @parent.workflow
    async def outer(run: Run) -> list[object]:
        first, second = await asyncio.gather(run.child("inner", 2), run.child("inner", 3))
        try:
            await run.child("broken")
        except ChildFailed as failed:
            return [first, second, failed.outcome, failed.error]
        return []

    @parent.workflow
    async def inner(run: Run, number: int) -> int:
        return await run.step(lambda: number * number, name="square")

    @parent.workflow
    async def broken(_: Run) -> None:
        msg = "no good"
        raise ValueError(msg)

    async with parent:
        ended = await people.ended(await started(people, parent, "outer"))
    assert ended.result == [4, 9, "FAILED", "ValueError: no good"]


async def test_a_child_is_where_its_parent_says_and_by_default_where_its_parent_is(
    people: People, server: Server
) -> None:
    here, there = f"queue-{uuid4()}", f"queue-{uuid4()}"
    both = Engine(server.url, token=server.tokens["engine"], queues=[here, there])

    @both.workflow(name="outer")
    async def outer(run: Run) -> list[str]:
        return [await run.child("inner"), await run.child("inner", queue=there)]

    @both.workflow
    async def inner(run: Run) -> str:
        async def place() -> str:
            execution = await (await people.get("operator")).execution(run.execution_id)
            assert execution is not None
            return execution.queue

        return await run.step(place)

    async def unsaid(run: Run) -> list[str]:
        return [await run.child("inner"), await run.child("inner")]

    async def elsewhere(run: Run) -> list[str]:
        return [await run.child("inner"), await run.child("inner", queue=here)]

    async with both:
        execution_id = await started(people, both, "outer")
        assert (await people.ended(execution_id)).result == [here, there]
    transcript = await (await people.get("operator")).transcript(execution_id)
    assert transcript is not None
    # What was started before, on another queue than it would be now, is still the same child.
    replay(transcript, unsaid)
    with pytest.raises(Nondeterministic, match="'inner-2' was started with other content"):
        replay(transcript, elsewhere)


async def test_a_child_that_ended_while_its_parent_had_failed_is_not_waited_for_in_vain(
    people: People, engine: Made
) -> None:
    operator = await people.get("operator")
    family, go, down = engine(), asyncio.Event(), True

    async def fails() -> str:
        if down:
            msg = "down"
            raise OSError(msg)
        return "up"

    @family.workflow
    async def child(run: Run) -> str:
        await run.step(go.wait)
        return "done"

    @family.workflow
    async def parent(run: Run) -> Any:
        both = run.child("child", queue=family.queues[0]), run.step(fails)
        return await asyncio.gather(*both)

    async with family:
        execution_id = await started(people, family, "parent")
        failed = await people.ended(execution_id)
        go.set()
        # What its parent is told later is told by the same, in the order of the log.
        down = False
        await people.ended(await started(people, family, "parent"))
        await operator.retry(failed)
        ended = await people.ended(execution_id, after=failed.version)
    assert ended.result == ["done", "up"]
