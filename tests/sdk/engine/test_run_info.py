"""What a workflow and its steps know of their execution, and what they log."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from placet import Run
from placet.testing import Trial
from tests.sdk.engines import Made, started
from tests.sdk.people import People
from tests.sdk.trials import result


async def test_a_step_knows_its_attempt_and_a_workflow_its_execution() -> None:
    async def workflow(run: Run) -> list[Any]:
        async def counted() -> int | None:
            if run.info.attempt == 1:
                raise OSError("once")
            return run.info.attempt

        def plain() -> int | None:
            return run.info.attempt

        info = run.info
        assert info.attempt is None
        return [
            await run.step(counted, retries=1, pause=0),
            await run.step(plain),
            [info.workflow, info.initiator, info.labels, info.execution_id == run.execution_id],
        ]

    assert await result(workflow) == [2, 1, ["workflow", "initiator", {}, True]]


async def test_a_workflow_knows_its_labels(people: People, engine: Made) -> None:
    only = engine()

    @only.workflow
    async def labelled(run: Run) -> list[Any]:
        return [dict(run.info.labels), run.info.initiator, run.info.queue]

    async with only:
        operator = await people.get("operator")
        accepted = await operator.start("labelled", queue=only.queues[0], labels={"team": "a"})
        assert accepted.execution is not None
        ended = await people.ended(accepted.execution.id)
    assert ended.result == [{"team": "a"}, "operator", only.queues[0]]


async def test_a_message_of_a_workflow_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def workflow(run: Run) -> str:
        run.log.info("begins at %d%%", 10)
        await run.step(str, "x")
        run.log.warning("goes on")
        await run.sleep(5)
        run.log.info("100%")
        return run.execution_id

    with caplog.at_level(logging.INFO, "placet.workflow"):
        # The trial replays what it has recorded at its end.
        id_ = await result(workflow)
    said = [r.getMessage() for r in caplog.records if r.name == "placet.workflow"]
    assert said == [f"{id_}: begins at 10%", f"{id_}: goes on", f"{id_}: 100%"]
    [first, *_] = [r for r in caplog.records if r.name == "placet.workflow"]
    assert vars(first)["execution_id"] == id_


async def test_a_workflow_that_goes_on_elsewhere_repeats_no_message(
    people: People, engine: Made, caplog: pytest.LogCaptureFixture
) -> None:
    one = engine(put_away=timedelta(seconds=0.05))
    replays: list[bool] = []

    @one.workflow
    async def waits(run: Run) -> str:
        replays.append(run.info.replaying)
        run.log.info("begun")
        await run.step(str, "x")
        await run.signal("go")
        run.log.info("gone")
        return "done"

    with caplog.at_level(logging.INFO, "placet.workflow"):
        async with one:
            execution_id = await started(people, one, "waits")
            await asyncio.sleep(2)
            await (await people.get("operator")).signal(execution_id, "go")
            await people.ended(execution_id)
    said = [r.getMessage().partition(": ")[2] for r in caplog.records]
    assert said == ["begun", "gone"]
    assert replays == [False, True]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
async def test_a_message_below_the_level_is_not_logged(level: int) -> None:
    enabled: list[bool] = []

    async def workflow(run: Run) -> None:
        enabled.append(run.log.isEnabledFor(level))

    logging.getLogger("placet.workflow").setLevel(logging.INFO)
    try:
        await result(workflow)
        # Once live, and once in the replay at the end of the trial.
        assert enabled == [level == logging.INFO, False]
    finally:
        logging.getLogger("placet.workflow").setLevel(logging.NOTSET)


async def test_info_inside_of_a_trial_is_no_replay() -> None:
    async def workflow(run: Run) -> bool:
        await run.step(str, "x")
        return True

    async with Trial(workflow) as trial:
        assert await trial.result()
