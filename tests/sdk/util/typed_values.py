"""Values of every kind of type that is written as JSON and read back, with their annotations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1


class Unit(StrEnum):
    KILO = "kg"


@dataclass(frozen=True)
class Money:
    euros: Decimal
    tags: frozenset[str] = frozenset()


@dataclass
class Tree:
    name: str
    children: list["Tree"] = field(default_factory=list)


class Offer(msgspec.Struct, frozen=True, rename="camel"):
    valid_until: date
    prices: tuple[Money, ...] = ()


class Row(msgspec.Struct, array_like=True):
    key: str
    found: set[UUID]


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


class Point(NamedTuple):
    x: int
    y: float


class Address(TypedDict):
    street: str
    since: NotRequired[date]


class Plain(BaseModel):
    euros: Decimal
    on: date
    tags: set[str] = {"a", "b"}


class Strict(BaseModel, strict=True):
    at: datetime
    lines: tuple[Plain, ...]
    by_number: dict[int, timedelta] = {}
    kinds: frozenset[Colour] = frozenset()
    id: UUID | None = None


class Aliased(BaseModel):
    on: date = Field(alias="onDay")
    note: str = Field("none", validation_alias="remark", serialization_alias="comment")


class Swapped(BaseModel):
    """The alias of one field is the name of the other."""

    first: int = Field(alias="second")
    second: int = Field(alias="first")


class ByAlias(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)

    note: str = Field(validation_alias="remark", serialization_alias="comment")
    names: set[str] = Field(set(), alias="allNames")


class Closed(BaseModel, extra="forbid"):
    width: int

    @computed_field
    def doubled(self) -> int:
        return 2 * self.width


class Open(BaseModel, extra="allow"):
    width: int

    @computed_field(alias="twice")  # type: ignore[prop-decorator]
    @property
    def doubled(self) -> int:
        return 2 * self.width


class Box(BaseModel, strict=True):
    closed: Closed
    more: list[Closed | Plain] = []
    by_name: dict[str, Open] = {}
    pair: tuple[Closed, int] | None = None


class Names(RootModel[set[str]]):
    pass


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side: float


Shape = Annotated[Circle | Square, Field(discriminator="kind")]


@pydantic.dataclasses.dataclass
class Checked:
    width: int
    box: Box


@dataclass
class Mixed:
    what: Plain | int


WHEN = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
EAST = datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=2)))
PLAIN = Plain(euros=Decimal("12.50"), on=WHEN.date(), tags={"z", "y"})
CLOSED = Closed(width=2)
OPEN = Open(width=3, other="more")
BOX = Box(closed=CLOSED, more=[CLOSED, PLAIN], by_name={"a": OPEN}, pair=(CLOSED, 1))
MONEY = Money(Decimal("0.10"), frozenset({"b", "a"}))

VALUES: dict[str, tuple[Any, Any]] = {
    "None": (None, None),
    "bool": (bool, True),
    "int": (int, 2**53 - 1),
    "float": (float, 0.1),
    "str": (str, "é\n\U0001f600"),
    "bytes": (bytes, b"\x00\xff"),
    "Any": (Any, {"a": [1, None, "x"]}),
    "object": (object, [1.5]),
    "datetime": (datetime, WHEN),
    "datetime of a zone": (datetime, EAST),
    "naive datetime": (datetime, datetime(2026, 3, 1)),  # noqa: DTZ001 - it has to stay naive
    "date": (date, WHEN.date()),
    "time": (time, time(12, 30)),
    "timedelta": (timedelta, timedelta(days=-1, microseconds=5)),
    "UUID": (UUID, UUID(int=7)),
    "Decimal": (Decimal, Decimal("1.10")),
    "Enum": (Colour, Colour.RED),
    "IntEnum": (Size, Size.SMALL),
    "StrEnum": (Unit, Unit.KILO),
    "Literal": (Literal["a", 1], 1),
    "tuple": (tuple[int, str], (1, "a")),
    "tuple of any length": (tuple[date, ...], (WHEN.date(),)),
    "set": (set[str], {"b", "a"}),
    "frozenset": (frozenset[UUID], frozenset({UUID(int=2), UUID(int=1)})),
    "set of enums": (set[Colour], {Colour.RED, Colour.BLUE}),
    "sequence": (Sequence[Money], [MONEY]),
    "dict by str": (dict[str, set[int]], {"a": {2, 1}}),
    "dict by int": (dict[int, Money], {1: MONEY}),
    "mapping by date": (Mapping[date, int], {WHEN.date(): 1}),
    "dict by UUID": (dict[UUID, Plain], {UUID(int=1): PLAIN}),
    "optional": (date | None, WHEN.date()),
    "union by JSON type": (int | str | None, "7"),
    "union of list and text": (list[int] | str, [1]),
    "dataclass": (Money, MONEY),
    "dataclass of itself": (Tree, Tree("a", [Tree("b")])),
    "set of dataclasses": (set[Money], {MONEY, Money(Decimal(2))}),
    "Struct": (Offer, Offer(WHEN.date(), (MONEY,))),
    "array-like Struct": (Row, Row("a", {UUID(int=2), UUID(int=1)})),
    "tagged union": (Cat | Dog, Dog("Rex")),
    "list of a tagged union": (list[Cat | Dog], [Cat(9), Dog("Rex")]),
    "named tuple": (Point, Point(1, 0.5)),
    "TypedDict": (Address, {"street": "Main", "since": WHEN.date()}),
    "TypedDict without what need not be": (Address, {"street": "Main"}),
    "constrained": (Annotated[int, msgspec.Meta(ge=1)], 2),
    "model": (Plain, PLAIN),
    "model with defaults": (Plain, Plain(euros=Decimal(1), on=WHEN.date())),
    "optional model": (Plain | None, PLAIN),
    "list of models": (list[Plain], [PLAIN]),
    "strict model": (
        Strict,
        Strict(
            at=WHEN,
            lines=(PLAIN,),
            by_number={1: timedelta(hours=1)},
            kinds=frozenset({Colour.RED, Colour.BLUE}),
            id=UUID(int=1),
        ),
    ),
    "aliased model": (Aliased, Aliased(onDay=WHEN.date(), remark="x")),
    "model of swapped aliases": (Swapped, Swapped(second=1, first=2)),
    "model written by alias": (ByAlias, ByAlias(remark="x", allNames={"a"})),
    "closed model with a computed field": (Closed, CLOSED),
    "open model with a computed field": (Open, OPEN),
    "nested models with computed fields": (Box, BOX),
    "root model": (Names, Names({"b", "a"})),
    "union of models": (Circle | Square, Square(side=1)),
    "discriminated union of models": (list[Shape], [Square(side=1), Circle(radius=2)]),
    "union of a model and a number": (Plain | int, 3),
    "union of models with computed fields": (list[Closed | Open], [CLOSED]),
    "pydantic dataclass": (Checked, Checked(1, BOX)),
    "dataclass with a union of a model": (Mixed, Mixed(PLAIN)),
    "named tuple of models": (tuple[Plain, Strict | None], (PLAIN, None)),
}
