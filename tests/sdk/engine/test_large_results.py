"""Results at the limit of what the service takes, and beyond it."""

import asyncio
from collections import Counter

from placet import Engine, ExecutionState, Run, errors, require
from tests.sdk.engines import Made, started
from tests.sdk.people import People

FINANCE = require(1, group="finance")
LIMIT = 256 * 1024
"""Bytes of JSON, of which a text has two more than letters."""
BODY = 1024 * 1024
"""Bytes of a request: what is more is not read at all."""


def text(size: int) -> str:
    """Give what takes so many bytes as JSON."""
    return "x" * (size - 2)


async def test_a_result_at_the_limit_is_recorded_and_given_back_in_a_replay(
    people: People, engine: Made
) -> None:
    made: list[int] = []

    def produce() -> str:
        made.append(LIMIT)
        return text(LIMIT)

    def add(to: Engine) -> Engine:
        @to.workflow
        async def large(run: Run) -> int:
            result = await run.step(produce)
            await run.approval("Go on", payload=len(result), policy=FINANCE)
            return len(result)

        return to

    one, other = add(engine()), add(engine())
    async with one:
        execution_id = await started(people, one, "large")
        [approval] = await people.pending(execution_id)
    async with other:
        await (await people.get("approver-a")).grant(approval)
        ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == (LIMIT - 2, 2)
    assert made == [LIMIT]


async def test_a_larger_one_is_refused_by_name_of_the_limit_and_not_tried_again(
    people: People, engine: Made
) -> None:
    too_much: dict[int, tuple[type[errors.PlacetError], str]] = {
        LIMIT + 1: (errors.InvalidInput, f"the limit is {LIMIT}"),
        3 * LIMIT: (errors.InvalidInput, f"the limit is {LIMIT}"),
        BODY: (errors.LimitExceeded, f"more than {BODY} bytes"),
        3 * BODY: (errors.LimitExceeded, f"more than {BODY} bytes"),
    }
    tried: Counter[int] = Counter()
    large = engine()

    def produce(size: int) -> str:
        tried[size] += 1
        return text(size)

    @large.workflow
    async def caught(run: Run, size: int) -> str:
        kind, _ = too_much[size]
        try:
            await run.step(produce, size, retries=3)
        except kind as refused:
            # The execution is no worse for it.
            return await run.step(str, refused)
        return "recorded"

    @large.workflow
    async def returned(run: Run, size: int) -> str:
        await run.step(lambda: 1, name="first")
        return text(size)

    async def whole(workflow: str, size: int) -> tuple[ExecutionState, str]:
        ended = await people.ended(await started(people, large, workflow, size))
        return ended.state, ended.error or str(ended.result)

    async with large:
        of_steps, of_workflows = [
            await asyncio.gather(*(whole(workflow, size) for size in too_much))
            for workflow in ("caught", "returned")
        ]
    for (size, (_, limit)), stepped, ended in zip(
        too_much.items(), of_steps, of_workflows, strict=True
    ):
        assert stepped[0] is ExecutionState.COMPLETED, size
        assert "the result of step 'produce-1'" in stepped[1]
        assert limit in stepped[1]
        assert ended[0] is ExecutionState.FAILED, size
        assert "the workflow's result can't be recorded" in ended[1]
        assert limit in ended[1]
    assert tried == dict.fromkeys(too_much, 1)
