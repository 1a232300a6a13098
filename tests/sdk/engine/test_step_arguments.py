"""A replay that calls a step with other arguments than were recorded parks at once."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet import Engine, Nondeterministic, Run, require
from placet.engine.argument_digest import arguments_digest
from placet.testing import Trial, replay
from tests.sdk.engines import Made, started
from tests.sdk.people import People

FINANCE = require(1, group="finance")


def shout(text: str) -> str:
    return text.upper()


async def test_results_are_not_given_to_a_call_with_other_arguments(
    people: People, engine: Made
) -> None:
    orders = iter([["a", "b"], ["b", "a"]])

    def add(to: Engine) -> Engine:
        @to.workflow
        async def loops(run: Run) -> list[str]:
            # As a loop over a set does in a process with another hash seed.
            said = [await run.step(shout, each) for each in next(orders)]
            await run.approval("Go on", payload=said, policy=FINANCE)
            return said

        return to

    async with add(engine()) as one:
        execution_id = await started(people, one, "loops")
        [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    async with add(engine()):
        reason = await people.parked(execution_id)
    assert reason.startswith("step 'shout-1' was recorded with other arguments (version ")


async def test_steps_of_coroutines_that_are_begun_in_any_order_are_told_apart() -> None:
    order = ["a", "b"]

    async def workflow(run: Run) -> list[str]:
        async def one(name: str) -> str:
            return await run.step(shout, name)

        # as_completed begins coroutines in the order of a set.
        return await asyncio.gather(*(one(name) for name in order))

    async with Trial(workflow) as trial:
        await trial.result()
        transcript = trial.transcript()
    order.reverse()
    with pytest.raises(Nondeterministic, match="'shout-1' was recorded with other arguments"):
        replay(transcript, workflow)


async def test_a_failed_attempt_is_compared_too() -> None:
    def fails(_: str) -> None:
        raise OSError("away")

    given = "a"

    async def workflow(run: Run) -> str:
        try:
            await run.step(fails, given)
        except Exception as error:  # noqa: BLE001 - whatever it is
            return type(error).__name__
        return "done"

    async with Trial(workflow) as trial:
        await trial.result()
        transcript = trial.transcript()
    given = "b"
    with pytest.raises(Nondeterministic, match="with other arguments"):
        replay(transcript, workflow)


async def test_steps_recorded_without_a_digest_are_not_compared() -> None:
    given = "a"

    async def workflow(run: Run) -> str:
        await run.step(shout, given)
        return "done"

    async with Trial(workflow) as trial:
        await trial.result()
        transcript = trial.transcript()
    for event in transcript.events:
        if event.data is not None:
            event.data.pop("argumentsDigest", None)
    given = "b"
    replay(transcript, workflow)


@dataclass
class Old:
    name: str


@dataclass
class New:
    name: str
    note: str | None = None


class Shown(pydantic.BaseModel):
    name: str
    tags: list[str] = pydantic.Field(default_factory=list)


class Packed(msgspec.Struct):
    name: str
    count: int = 0


FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_what_comes_back_from_json_has_the_same_digest(value: Any) -> None:
    digest = arguments_digest((value,), {})
    assert digest == arguments_digest((msgspec.json.decode(msgspec.json.encode(value)),), {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        (1, 2),
        (1, "1"),
        (True, 1),
        (None, []),
        ({"a": 1}, {"a": 2}),
        ({1: 1}, {"1": 1}),
        ({1}, {2}),
        (Old("a"), Old("b")),
        (Shown(name="a"), Shown(name="a", tags=["x"])),
        (Packed("a"), Packed("a", 1)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
        (Decimal("1.0"), Decimal("1.1")),
        (2**60, 2**60 + 1),
        ([1, [2]], [[1], 2]),
    ],
)
def test_other_arguments_have_another_digest(one: Any, other: Any) -> None:
    assert arguments_digest((one,), {}) != arguments_digest((other,), {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"b", "a"}, {"a", "b"}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        # A field with a default was added.
        (Old("a"), New("a")),
        (1.0, 1),
        # What has no value of its own is not compared.
        (object(), object()),
        (shout, str),
    ],
)
def test_the_same_arguments_have_the_same_digest(one: Any, other: Any) -> None:
    assert arguments_digest((one,), {}) == arguments_digest((other,), {})


def test_arguments_that_contain_themselves_are_not_compared() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert arguments_digest((circle,), {}) is None
