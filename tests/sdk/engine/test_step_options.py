"""The options of a step are kept apart from the arguments of its function, and checked."""

from typing import Any

import pytest

from placet import Run
from placet.testing import Trial
from tests.sdk.trials import result


def greeted(name: str, *, key: str = "", retries: int = 0, timeout: str = "") -> list[Any]:
    return [name, key, retries, timeout]


async def test_arguments_that_are_called_like_options_are_the_function_s() -> None:
    async def workflow(run: Run) -> list[Any]:
        doing = run.options(key="hello", retries=1)
        return await doing.step(greeted, name="ada", key="k", retries=7, timeout="soon")

    async with Trial(workflow) as trial:
        assert await trial.result() == ["ada", "k", 7, "soon"]
        [step] = [e for e in trial.events if e.type == "StepCompleted"]
        assert (step.data or {})["key"] == "hello"


async def test_options_of_a_step_are_the_same_both_ways() -> None:
    async def workflow(run: Run) -> list[Any]:
        plain = await run.step(str, 1, key="a", name="text")
        apart = await run.options(key="b", name="text").step(str, 1)
        return [plain, apart]

    assert await result(workflow) == ["1", "1"]


@pytest.mark.parametrize(
    ("options", "kind", "wrong"),
    [
        ({"retries": -1}, ValueError, "retries is -1, it must be from 0"),
        ({"retries": 1.5}, TypeError, "retries is a whole number, not 1.5"),
        ({"retries": True}, TypeError, "retries is a whole number, not True"),
        ({"pause": -1}, ValueError, "pause is -1 s, it must be 0 or more"),
        ({"pause": float("nan")}, ValueError, "pause is nan s"),
        ({"pause": "1"}, TypeError, "pause is a number of seconds, not '1'"),
        ({"timeout": -0.5}, ValueError, "timeout is -0.5 s"),
    ],
)
async def test_options_that_make_no_sense_are_told_at_once(
    options: dict[str, Any], kind: type[Exception], wrong: str
) -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(kind, match=wrong):
            await run.step(str, **options)
        with pytest.raises(kind, match=wrong):
            run.options(**options)
        return "told"

    assert await result(workflow) == "told"


async def test_final_takes_types_of_exceptions() -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(TypeError, match="final takes types of exceptions, not 'x'"):
            run.options(final="x")  # type: ignore[arg-type]
        return "told"

    assert await result(workflow) == "told"
