"""Retries of a step when its engine is killed, or when its options were changed meanwhile."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from placet import Engine, Run, StepFailed
from placet.engine.failure_codec import readable
from placet.testing import Trial, replay
from tests.sdk.engines import Made, failed_once, skipping, started
from tests.sdk.people import People

Workflow = Callable[[Run], Coroutine[Any, Any, str]]


class Shop:
    """A step that fails so many times before it succeeds."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    async def order(self) -> str:
        if self.left:
            self.left -= 1
            msg = "away"
            raise OSError(msg)
        return "ordered"


def ordering(shop: Shop, retries: int) -> Workflow:
    async def orders(run: Run) -> str:
        try:
            said: str = await run.step(shop.order, retries=retries)
        except StepFailed:
            said = await run.step(lambda: "apology", name="apologise")
        await run.sleep(timedelta(hours=1))
        return said

    return orders


@pytest.mark.parametrize("failures", [0, 1, 2, 5])
@pytest.mark.parametrize("later", [0, 1, 3])
@pytest.mark.parametrize("earlier", [0, 1, 3])
@pytest.mark.parametrize("by", ["this version", "an earlier version"])
async def test_what_is_recorded_rules_whatever_number_of_retries_the_code_has_now(
    failures: int, earlier: int, later: int, by: str
) -> None:
    async with Trial(ordering(Shop(failures), earlier)) as trial:
        result = await trial.result()
        transcript = trial.transcript()
    if by == "an earlier version":
        # It did not record whether another attempt follows, so more retries could not be told from
        # an attempt that is under way.
        if later > earlier and failures > earlier:
            return
        for event in transcript.events:
            if event.type == "StepFailed" and event.data is not None:
                event.data["error"] = readable(event.data["error"])
    # Raises if the changed code takes another way than was recorded.
    replay(transcript, ordering(Shop(0), later))
    assert result == ("ordered" if failures <= earlier else "apology")


async def test_a_failure_after_which_another_attempt_was_to_come_is_tried_again_at_least_once(
    people: People, engine: Made
) -> None:
    shop = Shop(1)

    def add(to: Engine, retries: int) -> Engine:
        @to.workflow
        async def orders(run: Run) -> str:
            return await run.step(shop.order, retries=retries, pause=60)

        return to

    async with add(engine(), 3) as one:
        execution_id = await started(people, one, "orders")
        await failed_once(people, execution_id)
    other = add(engine(), 0)
    pauses = skipping(other)
    async with other:
        assert (await people.ended(execution_id)).result == "ordered"
    assert len(pauses) == 1
