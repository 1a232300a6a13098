"""Steps that fail: what is recorded of each attempt, and when another follows."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from placet import Run, StepFailed
from placet.engine.failure_codec import readable
from placet.testing import Trial
from placet.testing.trial import START, TrialFailed
from tests.sdk.engine.test_context import steps
from tests.sdk.trials import result


def failing(times: int) -> Any:
    left = iter(range(times))

    async def fails() -> str:
        await asyncio.sleep(0)
        if next(left, None) is None:
            return "done"
        msg = "boom"
        raise KeyError(msg)

    return fails


async def test_a_failed_attempt_is_recorded_and_tried_again() -> None:
    async def workflow(run: Run) -> Any:
        return await run.step(failing(2), retries=2, pause=60)

    async with Trial(workflow) as trial:
        assert await trial.result() == "done"
        assert [(key, attempt, readable(said)) for key, attempt, said in steps(trial)] == [
            ("fails-1", 1, "KeyError: 'boom'"),
            ("fails-1", 2, "KeyError: 'boom'"),
            ("fails-1", 3, "done"),
        ]
        assert trial.now == START + timedelta(seconds=120)


@pytest.mark.parametrize(
    ("pause", "seconds"), [(10, 10 + 20 + 40 + 60 + 60), (40, 40 + 4 * 60), (600, 5 * 600)]
)
async def test_attempts_are_twice_as_far_apart_each_time_up_to_a_minute(
    pause: float, seconds: float
) -> None:
    async def workflow(run: Run) -> Any:
        return await run.step(failing(5), retries=5, pause=pause)

    async with Trial(workflow) as trial:
        assert await trial.result() == "done"
        assert trial.now == START + timedelta(seconds=seconds)


async def test_the_last_failure_is_raised_with_its_cause() -> None:
    causes: list[str] = []

    async def workflow(run: Run) -> str:
        with pytest.raises(StepFailed, match="'fails-1' failed: KeyError: 'boom'") as failed:
            await run.step(failing(9), retries=1, pause=0)
        causes.append(str(failed.value.__cause__).partition(" (")[0])
        return failed.value.error

    assert await result(workflow) == "KeyError: 'boom'"
    # Once live, and once in the replay at the end of the trial.
    assert causes == ["KeyError: 'boom'"] * 2


async def test_a_step_that_hangs_has_failed_after_its_timeout() -> None:
    async def workflow(run: Run) -> None:
        await run.step(asyncio.Event().wait, name="hangs", timeout=0.01)

    with pytest.raises(TrialFailed, match=r"'hangs-1' gave no result within 0.01 s"):
        await result(workflow)


async def test_a_step_that_is_cancelled_from_inside_has_failed() -> None:
    async def cancels() -> None:
        raise asyncio.CancelledError

    async def workflow(run: Run) -> None:
        await run.step(cancels)

    with pytest.raises(TrialFailed, match="'cancels-1' was cancelled from inside"):
        await result(workflow)


async def test_a_result_that_is_not_json_is_a_failure() -> None:
    async def workflow(run: Run) -> None:
        await run.step(object)

    with pytest.raises(TrialFailed, match="the result of step 'object-1' is not JSON"):
        await result(workflow)


class Untold(Exception):  # noqa: N818 - no error of ours
    """One whose message can't be read."""

    def __str__(self) -> str:
        msg = "no message"
        raise AttributeError(msg)


async def test_an_error_whose_message_can_not_be_read_is_a_failure_all_the_same() -> None:
    async def fails() -> None:
        raise Untold

    async def workflow(run: Run) -> None:
        with pytest.raises(StepFailed, match="Untold, whose message can't be read"):
            await run.step(fails)
        raise Untold

    with pytest.raises(TrialFailed, match="Untold, whose message can't be read: AttributeError"):
        await result(workflow)


async def test_a_result_whose_model_raises_is_a_failure() -> None:
    class Detached:
        def model_dump(self, mode: str) -> Any:
            msg = f"detached, so there is no {mode}"
            raise RuntimeError(msg)

    async def workflow(_: Run) -> object:
        return Detached()

    with pytest.raises(TrialFailed, match="RuntimeError: detached, so there is no json"):
        await result(workflow)


async def test_half_of_a_surrogate_pair_is_no_result() -> None:
    async def workflow(run: Run) -> None:
        await run.step(str, "\udc80")

    with pytest.raises(TrialFailed, match="the result of step 'str-1' is not JSON"):
        await result(workflow)
