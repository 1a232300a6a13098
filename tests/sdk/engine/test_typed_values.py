"""Typed results and payloads: they come back as they were, or are not recorded."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from placet import Engine, Run, StepFailed, require
from placet._util.read_back import reader_like, recorded
from placet._util.serde import reader
from placet.testing import Trial
from tests.sdk.engines import Made, started
from tests.sdk.people import People
from tests.sdk.trials import result

FINANCE = require(1, group="finance")


class Colour(StrEnum):
    RED = "red"


@dataclass
class Line:
    what: str
    cents: int = 0


@dataclass
class Rush(Line):
    until: str = "today"


@dataclass
class Order:
    to: str
    lines: list[Line] = field(default_factory=list)
    colour: Colour = Colour.RED


class Packed(msgspec.Struct, rename="camel"):
    long_name: str


class Point(NamedTuple):
    x: int
    y: int


class Aliased(pydantic.BaseModel):
    sum: int = pydantic.Field(alias="Sum")


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")
    at: datetime

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def year(self) -> int:
        return self.at.year


class Secret(pydantic.BaseModel):
    word: pydantic.SecretStr


class Excluding(pydantic.BaseModel):
    shown: int
    hidden: int = pydantic.Field(default=0, exclude=True)


NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
TYPED = [
    Order("Eindhoven", [Line("bed", 12_000)]),
    Packed("x"),
    Aliased(Sum=3),
    Strict(at=NOW),
    [Line("a"), Aliased(Sum=1)],
    {"first": Order("a"), "plain": {"x": [1, 2.5, None]}},
    {1: Line("a"), 2: Line("b")},
    (Line("a"), "b", [date(2026, 1, 1)]),
    {Colour.RED: Decimal("1.50")},
    {"b", "a"},
    NOW,
    Point(1, 2),
]


@pytest.mark.parametrize("value", TYPED)
def test_a_value_is_read_with_all_the_types_that_it_has(value: Any) -> None:
    read = reader_like(value)
    back = read(recorded(value, read, "it"))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("value", [TYPED[0], TYPED[2], TYPED[3], TYPED[4]])
async def test_the_payload_of_a_clearance_has_the_type_that_was_given(
    people: People, engine: Made, value: Any
) -> None:
    done: list[Any] = []

    async def pay(payload: Any) -> None:
        done.append(payload)

    def add(to: Engine) -> Engine:
        @to.workflow
        async def pays(run: Run) -> None:
            clearance = await run.approval("Pay", payload=value, policy=FINANCE)
            await run.step(pay, clearance.payload, clearance=clearance)

        return to

    # Another engine goes on, so that it is read from the record.
    async with add(engine()) as one:
        execution_id = await started(people, one, "pays")
        [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    async with add(engine()):
        assert (await people.ended(execution_id)).error is None
    assert done == [value]
    assert type(done[0]) is type(value)


async def test_a_typed_payload_that_was_changed_is_not_what_was_approved() -> None:
    async def pays(run: Run) -> str:
        clearance = await run.approval("Pay", payload=Order("a"), policy=FINANCE)
        clearance.payload.to = "b"
        try:
            await run.step(print, clearance.payload, clearance=clearance)
        except Exception as error:  # noqa: BLE001 - whatever it is
            return type(error).__name__
        return "paid"

    async with Trial(pays) as trial:
        trial.grant(await trial.approval())
        assert await trial.result() == "DigestMismatch"


async def test_a_payload_that_hides_something_is_not_put_before_people() -> None:
    async def asks(run: Run) -> str:
        try:
            await run.approval("Pay", payload=Excluding(shown=1, hidden=2), policy=FINANCE)
        except ValueError as error:
            return str(error)
        return "granted"

    assert "payload does not come back from JSON as it is" in await result(asks)


LOST = [
    (Secret, Secret(word=pydantic.SecretStr("a"))),
    (Excluding, Excluding(shown=1, hidden=2)),
    (Line, Rush("a")),
    (list[Line], [Rush("a")]),
    (Any, {1: "a", "1": "b"}),
    (dict[str, dict[str, int]], {"x": {1: 1, "1": 2}}),
    (Any, {None: 1}),
    (Any, {(1, 2): 1}),
]


@pytest.mark.parametrize(("kind", "value"), LOST)
async def test_what_does_not_come_back_is_a_failure_that_is_not_tried_again(
    kind: Any, value: Any
) -> None:
    begun = 0

    def work():  # type: ignore[no-untyped-def] # noqa: ANN202 - it is given below
        nonlocal begun
        begun += 1
        return value

    work.__annotations__["return"] = kind

    async def workflow(run: Run) -> str:
        try:
            await run.step(work, retries=3, pause=0)
        except StepFailed as failed:
            return str(failed)
        return "done"

    said = await result(workflow)
    assert "the work was done, so it is not tried again" in said
    assert begun == 1


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Aliased, Aliased(Sum=3)),
        (Strict, Strict(at=NOW)),
        (Excluding, Excluding(shown=1)),
        (float, 1),
        (dict[int, str], {1: "a"}),
        (tuple[Line, ...], (Line("a"),)),
        (Order, Order("a", [Line("b")])),
        (Line | None, None),
    ],
)
def test_what_comes_back_is_recorded(kind: Any, value: Any) -> None:
    read: Callable[[Any], Any] = reader(kind)
    assert read(recorded(value, read, "it")) == value
