"""The types of what steps, workflows and inputs give."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pydantic
import pytest

from placet import Run
from placet.testing.trial import START, TrialFailed
from tests.sdk.trials import result


@dataclass
class Fare:
    price: Decimal
    at: datetime


class Quote(msgspec.Struct):
    fare: Fare


class Offer(pydantic.BaseModel):
    quotes: int
    cheap: bool = True


async def fare() -> Fare:
    return Fare(Decimal("12.50"), START)


async def quote() -> Quote:
    return Quote(await fare())


def offers() -> list[Offer]:
    return [Offer(quotes=2)]


def pair() -> tuple[int, str]:
    return 1, "a"


@pytest.mark.parametrize("fn", [fare, quote, offers, pair])
async def test_a_step_gives_what_its_annotation_says(fn: Any) -> None:
    seen: list[Any] = []

    async def workflow(run: Run) -> None:
        seen.append(await run.step(fn))

    await result(workflow)
    expected = fn()
    expected = await expected if asyncio.iscoroutine(expected) else expected
    # Once as it was run, and once as it was replayed.
    assert seen == [expected, expected]


async def test_without_an_annotation_json_comes_back() -> None:
    async def workflow(run: Run) -> Any:
        found: Any = await run.step(lambda: (1, START), name="pair")
        assert isinstance(found, list)
        return found

    assert await result(workflow) == [1, "2026-01-01T00:00:00Z"]


async def test_a_result_that_its_annotation_does_not_allow_is_a_failure() -> None:
    def lies() -> int:
        return "x"  # type: ignore[return-value]

    async def workflow(run: Run) -> None:
        await run.step(lies)

    with pytest.raises(TrialFailed, match="the result of step 'lies-1' is not what its annotation"):
        await result(workflow)


async def test_an_input_comes_as_its_annotation_says() -> None:
    async def workflow(_: Run, offer: Offer) -> int:
        return offer.quotes

    assert await result(workflow, {"quotes": 3}) == 3
    with pytest.raises(TrialFailed, match="the input is not what workflow 'workflow' takes"):
        await result(workflow, {"quotes": "many"})


async def test_a_workflow_s_result_must_be_json() -> None:
    async def workflow(_: Run) -> object:
        return object()

    with pytest.raises(TrialFailed, match="the workflow's result is not JSON"):
        await result(workflow)
