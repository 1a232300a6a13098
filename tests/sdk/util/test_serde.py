"""What is written of a typed value reads back equal, whoever writes and reads it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, computed_field

from placet import Gate, Run, digest, require
from placet._util.serde import as_it_is, check_readable, plain, reader
from placet.approvals.arguments import Arguments
from placet.testing import Trial
from tests.sdk.people import People
from tests.sdk.util.typed_values import (
    CLOSED,
    EAST,
    OPEN,
    VALUES,
    Aliased,
    ByAlias,
    Colour,
    Plain,
    Strict,
    Swapped,
)

EACH = pytest.mark.parametrize(("kind", "value"), VALUES.values(), ids=VALUES)


def annotated(function: Callable[..., Any], kind: Any, *names: str) -> Any:
    function.__annotations__ |= dict.fromkeys(names, kind)
    return function


@EACH
def test_it_reads_back_equal(kind: Any, value: Any) -> None:
    written = plain(value, "it")
    assert reader(kind)(written) == value
    assert plain(reader(kind)(written), "it") == written
    check_readable(kind)


@EACH
async def test_as_input_argument_and_result_of_a_workflow(kind: Any, value: Any) -> None:
    seen: list[Any] = []

    async def step(given):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return given

    async def workflow(run: Run, given):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        seen.append(given)
        seen.append(await run.step(step, given))
        return seen[-1]

    annotated(step, kind, "return")
    async with Trial(annotated(workflow, kind, "given"), value) as trial:
        assert await trial.result() == plain(value, "it")
    # The last two are of the replay at the trial's end.
    assert seen == [value] * 4
    assert {type(each) for each in seen} == {type(value)}


@EACH
def test_as_argument_and_result_of_a_function_that_needs_approval(kind: Any, value: Any) -> None:
    def function(given, *more, **named):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202
        raise NotImplementedError(given, more, named)

    arguments = Arguments(annotated(function, kind, "given", "more", "named", "return"))
    call = arguments.bind((value, value), {"x": value})
    payload = arguments.payload(call)
    assert payload["given"] == plain(value, "it")
    granted = arguments.rebuilt(call, payload)
    assert (granted.args, granted.kwargs) == ((value, value), {"x": value})
    assert arguments.result(plain(value, "the result")) == value


async def test_as_payload_and_result_of_a_gate(people: People) -> None:
    gate = Gate(await people.get("engine"))
    payload = {name: value for name, (_, value) in VALUES.items()}
    policy = require(1, group="finance")
    asked = await gate.ask(f"typed-{uuid4()}", "1", title="All", payload=payload, policy=policy)
    assert asked.payload_digest == digest(payload)
    waiting = asyncio.create_task(gate.clearance(asked))
    await (await people.get("approver-a")).grant(asked)
    clearance = await waiting
    result = await gate.perform(clearance, lambda: payload)
    for name, (kind, value) in VALUES.items():
        assert reader(kind)(clearance.payload[name]) == value
        assert reader(kind)(result[name]) == value


class Line(BaseModel, strict=True):
    price: Decimal = Field(alias="euros", allow_inf_nan=False)
    on: date | None = None
    colours: frozenset[Colour] = frozenset()

    @computed_field
    def dated(self) -> bool:
        return self.on is not None


class Order(BaseModel, extra="forbid"):
    id: UUID
    at: datetime
    lines: list[Line]
    by_number: dict[int, Line]

    @computed_field
    def size(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Parcel:
    order: Order | None
    takes: timedelta
    codes: frozenset[str]


class Shipment(msgspec.Struct, rename="camel"):
    the_parcels: tuple[Parcel, ...]
    by_day: dict[date, Parcel]
    note: str | None = None


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
DAYS = st.dates(date(1900, 1, 1), date(2100, 1, 1))
LINES = st.builds(
    Line,
    euros=st.decimals(-1000, 1000, places=2),
    on=st.none() | DAYS,
    colours=st.frozensets(st.sampled_from(Colour)),
)
ORDERS = st.builds(
    Order,
    id=st.uuids(),
    at=st.datetimes(
        # No offset of seconds, which RFC 3339 can't express.
        timezones=st.sampled_from([UTC, EAST.tzinfo])
    ),
    lines=st.lists(LINES, max_size=2),
    by_number=st.dictionaries(st.integers(-(2**50), 2**50), LINES, max_size=2),
)
PARCELS = st.builds(
    Parcel,
    order=st.none() | ORDERS,
    takes=st.timedeltas(timedelta(days=-1000), timedelta(days=1000)),
    codes=st.frozensets(TEXTS, max_size=3),
)
SHIPMENTS = st.builds(
    Shipment,
    the_parcels=st.lists(PARCELS, max_size=2).map(tuple),
    by_day=st.dictionaries(DAYS, PARCELS, max_size=2),
    note=st.none() | TEXTS,
)


@given(SHIPMENTS)
def test_whatever_it_holds_it_reads_back_equal(shipment: Shipment) -> None:
    written = plain(shipment, "it")
    stored = json.loads(json.dumps(written, sort_keys=True))
    assert reader(Shipment)(stored) == shipment
    assert digest(reader(Shipment)(stored)) == digest(shipment)


@given(ORDERS, st.integers())
def test_whichever_member_of_a_union_it_is_it_reads_back_equal(order: Order, number: int) -> None:
    read = reader(list[Order | Line | int])
    values = [order, *order.lines, number]
    assert read(plain(values, "it")) == values


def test_what_is_written_of_a_model_stays_as_it_was() -> None:
    """It is what people approved of: by field name, with computed fields, sets in order."""
    assert plain(Aliased(onDay=date(2026, 3, 1), remark="x"), "it") == {
        "on": "2026-03-01",
        "note": "x",
    }
    assert plain(CLOSED, "it") == {"width": 2, "doubled": 4}
    assert plain(OPEN, "it") == {"width": 3, "other": "more", "doubled": 6}
    assert plain(ByAlias(remark="x", allNames={"b", "a"}), "it") == {
        "comment": "x",
        "allNames": ["a", "b"],
    }
    assert plain(Swapped(second=1, first=2), "it") == {"first": 1, "second": 2}


def test_a_model_is_also_read_by_the_names_that_others_write() -> None:
    assert reader(Aliased)({"onDay": "2026-03-01", "remark": "x"}) == Aliased(
        onDay=date(2026, 3, 1), remark="x"
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Strict, {"at": 1, "lines": []}), (Plain | int, "x"), (int, "1"), (set[int], ["1"])],
)
def test_json_that_is_not_of_the_type_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        reader(kind)(value)


class Unknown:
    pass


@dataclass
class Left:
    x: int


@dataclass
class Right:
    y: int


@pytest.mark.parametrize("kind", [Unknown, Left | Right, date | str, Plain | Unknown])
def test_a_type_that_can_not_be_read_leaves_the_json_as_it_is(kind: Any) -> None:
    assert reader(kind)({"x": 1}) == {"x": 1}
    with pytest.raises(TypeError):
        check_readable(kind)


def test_an_annotation_that_has_no_hash_leaves_the_json_as_it_is() -> None:
    assert reader([]) is as_it_is
