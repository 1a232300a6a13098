"""What is registered as a workflow, or given as a step, can be called at all."""

import asyncio
from typing import Any

import pytest

from placet import Engine, Run
from placet.testing import Trial


async def alone(run: Run) -> object:
    return run.input


async def with_input(run: Run, given: object) -> object:
    del run
    return given


async def with_defaults(run: Run, given: object, more: int = 1, *, other: int = 2) -> object:
    del run
    return [given, more, other]


async def with_rest(run: Run, *rest: object, **more: object) -> object:
    del run
    return [*rest, more]


async def with_options(run: Run, *, other: int = 2, **more: object) -> object:
    return [run.input, other, more]


async def anything(*given: object) -> object:
    return given[1]


async def nothing() -> None:
    raise NotImplementedError


async def three(run: Run, given: object, more: object) -> None:
    raise NotImplementedError(run, given, more)


async def keyword(run: Run, *, given: object) -> None:
    raise NotImplementedError(run, given)


async def keywords_only(**run: Run) -> None:
    raise NotImplementedError(run)


def not_async(run: Run) -> None:
    raise NotImplementedError(run)


@pytest.fixture
def engine() -> Engine:
    return Engine("http://127.0.0.1:9", token="none")


@pytest.mark.parametrize(
    ("workflow", "result"),
    [
        (alone, 7),
        (with_input, 7),
        (with_defaults, [7, 1, 2]),
        (with_rest, [7, {}]),
        (with_options, [7, 2, {}]),
        (anything, 7),
    ],
)
async def test_a_workflow_takes_its_run_and_perhaps_its_input(workflow: Any, result: Any) -> None:
    async with Trial(workflow, 7) as trial:
        assert await trial.result() == result


@pytest.mark.parametrize(
    ("workflow", "wrong"),
    [
        (nothing, r"which \(\) -> None does not fit"),
        (three, "given: object, more: object.*does not fit"),
        (keyword, "does not fit"),
        (keywords_only, "does not fit"),
        (not_async, "must be an async function"),
        ("trip", "must be an async function, and is 'trip'"),
    ],
)
def test_what_could_never_run_is_refused_at_once(engine: Engine, workflow: Any, wrong: str) -> None:
    with pytest.raises(TypeError, match=wrong):
        engine.workflow(workflow)
    with pytest.raises(TypeError, match=wrong):
        engine.workflow(name="named")(workflow)


def test_a_workflow_has_a_name_that_an_execution_can_have(engine: Engine) -> None:
    with pytest.raises(ValueError, match="the name of the workflow 'a\\\\nb' holds"):
        engine.workflow(name="a\nb")(alone)
    with pytest.raises(ValueError, match="the version of workflow 'alone' '' is empty"):
        engine.workflow(version="")(alone)


async def test_a_step_is_given_a_function_and_not_its_coroutine() -> None:
    async def work(number: int) -> int:
        return await asyncio.sleep(0, number)

    async def workflow(run: Run) -> int:
        # That it was never awaited would be a warning, which is an error here.
        with pytest.raises(TypeError, match=r"pass the function and its arguments: run.step\(f, x"):
            run.step(work(1))  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"takes a function and its arguments, .* and not 17"):
            run.step(17)  # type: ignore[call-overload]
        return await run.step(work, 1)

    async with Trial(workflow) as trial:
        assert await trial.result() == 1
