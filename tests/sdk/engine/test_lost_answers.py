"""An answer that was lost: the command is repeated, and the workflow is told what stands."""

import asyncio
from typing import Any

from placet import Run
from placet.client.transport.envelope import BoundOperation
from placet.errors import Unavailable
from placet.testing import replay
from tests.sdk.engines import Made, started
from tests.sdk.people import People


async def test_the_time_of_a_repeated_answer_is_that_of_the_record(
    people: People, engine: Made
) -> None:
    operator = await people.get("operator")
    times: list[float] = []
    only = engine()
    execute = only.client.transport.send_once
    lost = 0

    async def losing(bound: BoundOperation[Any]) -> Any:
        nonlocal lost
        answer = await execute(bound)
        if not lost and any(b"recordStep" in bytes(each) for each in bound.variables["inputs"]):
            lost += 1
            # What comes before the repeat moves the head on.
            await operator.signal(execution_id, "news")
            raise Unavailable("the answer was lost")
        return answer

    only.client.transport.send_once = losing  # type: ignore[method-assign]

    async def timed(run: Run) -> str:
        await run.step(str, "x")
        times.append(asyncio.get_running_loop().time())
        return "done"

    only.workflow(timed)
    execution_id = await started(people, only, "timed")
    async with only:
        await people.ended(execution_id)
    assert (lost, len(times)) == (1, 1)
    transcript = await operator.transcript(execution_id)
    assert transcript is not None
    [step] = [event for event in transcript.events if event.type == "StepCompleted"]
    [news] = [event for event in transcript.events if event.type == "SignalReceived"]
    assert news.at > step.at
    replay(transcript, timed)
    assert times == [step.at.timestamp()] * 2
