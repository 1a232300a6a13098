"""Keys and names that the service would refuse are refused where they are given."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import validation
from placet import ExecutionState, Run, require
from placet._util.validation import check_name
from placet.testing import Trial
from tests.sdk.engines import Made, started
from tests.sdk.people import People

FINANCE = require(1, group="finance")
WHEN = datetime(2027, 1, 1, tzinfo=UTC)

NAMES = ("a", "é" * 200, "x" * 201, "", " ", "a\nb", "\x00", "\u2028", "\udc80", "tab\t", "日本")


def told(use: Callable[[Run], Any]) -> Any:
    """Make a workflow of one use of its run, which gives the error that it meets at once."""

    async def workflow(run: Run) -> str:
        try:
            asked = use(run)
        except ValueError as error:
            return str(error)
        if hasattr(asked, "close"):
            asked.close()
        return "taken"

    return workflow


@given(st.one_of(st.sampled_from(NAMES), st.text(max_size=300)))
def test_the_rule_is_the_service_s(name: str) -> None:
    taken = True
    try:
        check_name(name, "the key", "give another")
    except ValueError:
        taken = False
    assert taken == (validation.name(name, "key") is None)


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("k" * 201, "has 201 characters, the service takes 200; give another by key="),
        ("a\nb", "holds a character that can't be printed, such as a line break"),
        ("", "'' is empty"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda run, key: run.step(print, key=key),
        lambda run, key: run.approval("Trip", payload=1, policy=FINANCE, key=key),
        lambda run, key: run.sleep(1, key=key),
        lambda run, key: run.sleep_until(WHEN, key=key),
        lambda run, key: run.child("lodging", key=key),
    ],
    ids=["step", "approval", "sleep", "sleep_until", "child"],
)
async def test_a_key_that_the_service_refuses_is_told_at_once(
    use: Callable[[Run, str], Any], key: str, wrong: str
) -> None:
    async with Trial(told(lambda run: use(run, key))) as trial:
        assert wrong in await trial.result()
        assert [event.type for event in trial.events] == ["Completed"]


def long_named() -> Callable[[], str]:
    def function() -> str:
        raise NotImplementedError

    function.__name__ = "f" * 199
    return function


@pytest.mark.parametrize(
    ("use", "wrong"),
    [
        (lambda run: run.step(print, name="a\tb"), "the name of the step 'a\\tb' holds"),
        (lambda run: run.step(print, name=""), "the name of the step '' is empty"),
        (lambda run: run.step(long_named()), "has 201 characters, the service takes 200"),
        (lambda run: run.child("w" * 201), "the workflow's name of a child 'wwww"),
        (lambda run: run.child("w", version=""), "the version of child 'w' '' is empty"),
        (lambda run: run.child("w", queue="q\n"), "the queue of child 'w' 'q\\n' holds"),
        (lambda run: run.patched("p" * 193), "has 193 characters, the service takes 192"),
        (lambda run: run.patched(""), "the name of a patch '' is empty"),
    ],
)
async def test_a_name_that_the_service_refuses_is_told_at_once(
    use: Callable[[Run], Any], wrong: str
) -> None:
    async with Trial(told(use)) as trial:
        assert wrong in await trial.result()


async def test_a_signal_that_can_not_come_is_not_waited_for() -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(ValueError, match="none could ever come"):
            await run.signal("a\nb")
        return "done"

    async with Trial(workflow) as trial:
        assert await trial.result() == "done"


async def test_the_longest_names_are_taken(people: People, engine: Made) -> None:
    only = engine()

    @only.workflow
    async def longest(run: Run) -> str:
        assert run.patched("p" * 192)
        return await run.step(str, "done", name="n" * 200, key="k" * 200)

    async with only:
        execution_id = await started(people, only, "longest")
        assert (await people.ended(execution_id)).result == "done"


async def test_a_key_that_the_service_refuses_fails_the_execution(
    people: People, engine: Made
) -> None:
    only = engine()

    @only.workflow
    async def refused(run: Run) -> str:
        return await run.step(str, "done", key="k" * 201)

    async with only:
        execution_id = await started(people, only, "refused")
        ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.FAILED
    assert str(ended.error).startswith("ValueError: the key 'kkk")


async def test_a_key_that_is_no_string_is_told_at_once() -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(TypeError, match="the key is 17, it must be a string"):
            run.step(print, key=17)  # type: ignore[call-overload]
        return "done"

    async with Trial(workflow) as trial:
        assert await trial.result() == "done"
