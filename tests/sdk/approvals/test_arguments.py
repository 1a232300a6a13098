"""Arguments that become a payload and come back."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Lock
from typing import Any
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel, Field, SecretStr

from placet.approvals.arguments import Arguments


@dataclass(frozen=True)
class Transfer:
    euros: Decimal
    to: str
    at: datetime


@dataclass(frozen=True)
class Payee:
    name: str


TRANSFER = Transfer(Decimal("12.50"), "Ada", datetime(2026, 3, 1, tzinfo=UTC))


def typed(
    transfer: Transfer, /, ids: tuple[UUID, ...], *tags: str, urgent: bool = False, **more: int
) -> Transfer:
    raise NotImplementedError(transfer, ids, tags, urgent, more)


def plain(what, *rest, other=None, **more):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN201
    raise NotImplementedError(what, rest, other, more)


def returned(function: Callable[..., Any], *args: Any, **kwargs: Any) -> inspect.BoundArguments:
    """Give the call as it comes back from its payload."""
    arguments = Arguments(function)
    call = arguments.bind(args, kwargs)
    return arguments.rebuilt(call, arguments.payload(call))


def test_annotated_arguments_come_back_as_their_annotations_say() -> None:
    given = (TRANSFER, (UUID(int=1),), "a", "b")
    back = returned(typed, *given, urgent=True, limit=3)
    assert (back.args, back.kwargs) == (given, {"urgent": True, "limit": 3})


def test_others_come_back_as_json_says_them() -> None:
    back = returned(plain, {"a": (1, 2)}, 3, key=TRANSFER)
    assert back.args == ({"a": [1, 2]}, 3)
    assert back.kwargs["key"]["euros"] == "12.50"


def test_a_payload_names_every_argument_and_its_default() -> None:
    arguments = Arguments(plain)
    payload = arguments.payload(arguments.bind((1, 2), {"x": 3}))
    assert payload == {"what": 1, "rest": [2], "other": None, "more": {"x": 3}}


def test_a_result_comes_back_as_its_annotation_says() -> None:
    recorded = {"euros": "12.50", "to": "Ada", "at": "2026-03-01T00:00:00Z"}
    assert Arguments(typed).result(recorded) == TRANSFER
    assert Arguments(plain).result(recorded) == recorded


def test_a_hidden_argument_is_passed_on_and_not_shown() -> None:
    def use(lock: Lock, what: str) -> None:
        raise NotImplementedError(lock, what)

    arguments = Arguments(use, ["lock"])
    lock: Any = Lock()
    call = arguments.bind((lock, "x"), {})
    assert arguments.payload(call) == {"what": "x"}
    assert arguments.rebuilt(call, {"what": "y"}).args == (lock, "y")


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (({1: object()},), "argument 'what' is not JSON"),
        ((2**53,), "exceeds safe integer"),
        ((float("inf"),), "argument 'what' is not JSON"),
    ],
    ids=["no JSON", "too large for I-JSON", "not finite"],
)
def test_what_json_can_not_say_is_refused(args: tuple[object, ...], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        returned(plain, *args)


def test_what_the_annotation_does_not_allow_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 'urgent': Expected `bool`, got `str`"):
        returned(typed, TRANSFER, (), urgent="yes")


class Line(BaseModel):
    euros: Decimal
    on: date = Field(alias="onDay")


class Order(BaseModel, strict=True):
    lines: tuple[Line, ...]
    at: datetime


LINE = Line(euros=Decimal("12.50"), onDay=date(2026, 3, 1))
ORDER = Order(lines=(LINE,), at=datetime(2026, 3, 1, tzinfo=UTC))


def modelled(order: Order, *lines: Line, others: Sequence[Line] | None = None) -> Order:
    raise NotImplementedError(order, lines, others)


def test_models_of_pydantic_come_back_as_they_were() -> None:
    back = returned(modelled, ORDER, LINE, LINE, others=(LINE,))
    assert (back.args, back.kwargs) == ((ORDER, LINE, LINE), {"others": [LINE]})
    arguments = Arguments(modelled)
    payload = arguments.payload(arguments.bind((ORDER,), {}))
    line = {"euros": "12.50", "on": "2026-03-01"}
    assert payload["order"] == {"lines": [line], "at": "2026-03-01T00:00:00Z"}
    assert arguments.result(payload["order"]) == ORDER


class Login(BaseModel):
    user: str
    password: SecretStr


def test_a_model_that_does_not_show_what_it_holds_is_refused() -> None:
    def log_in(logins: list[Login]) -> None:
        raise NotImplementedError(logins)

    login = Login(user="ada", password=SecretStr("1234"))
    with pytest.raises(ValueError, match="argument 'logins' does not come back from JSON") as told:
        returned(log_in, [login])
    assert "1234" not in str(told.value)


@dataclass(frozen=True)
class Attempt:
    login: Login


class Renamed(msgspec.Struct, rename="camel"):
    the_login: Login


@pytest.mark.parametrize("annotated", [True, False])
@pytest.mark.parametrize("holder", [Attempt, Renamed, lambda login: login])
def test_a_model_is_found_wherever_it_lies(
    *, annotated: bool, holder: Callable[[Login], Any]
) -> None:
    def log_in(what):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        raise NotImplementedError(what)

    held = holder(Login(user="ada", password=SecretStr("1234")))
    if annotated:
        log_in.__annotations__["what"] = type(held)
    with pytest.raises(ValueError, match="argument 'what' does not come back from JSON"):
        returned(log_in, held)


class Holder(msgspec.Struct, rename="camel"):
    the_line: Line


def test_a_model_without_an_annotation_comes_back_as_json_says_it() -> None:
    back = returned(plain, LINE, [LINE], other=Holder(LINE))
    line = {"euros": "12.50", "on": "2026-03-01"}
    assert back.args == (line, [line])
    assert back.kwargs["other"] == {"theLine": line}


class Special(Line):
    pass


def test_a_model_of_a_kind_that_adds_nothing_is_taken_for_what_it_is_annotated() -> None:
    back = returned(modelled, ORDER, Special(euros=Decimal(1), onDay=date(2026, 3, 1)))
    assert back.args[1] == Line(euros=Decimal(1), onDay=date(2026, 3, 1))


def test_what_a_model_does_not_allow_is_refused() -> None:
    with pytest.raises(ValueError, match="argument 'order': 1 validation error for Order"):
        returned(modelled, {"lines": []})


def test_what_could_not_work_is_told_at_once() -> None:
    def locked(lock: Lock) -> None:
        raise NotImplementedError(lock)

    def unknown(what: "Nothing") -> None:  # type: ignore[name-defined]  # noqa: F821
        raise NotImplementedError(what)

    with pytest.raises(TypeError, match=r"parameter 'lock' of .*locked is annotated"):
        Arguments(locked)
    with pytest.raises(TypeError, match="name 'Nothing' is not defined"):
        Arguments(unknown)
    with pytest.raises(TypeError, match="has no parameter connection"):
        Arguments(plain, ["connection"])


def pay(euros: int, to: Payee) -> None:
    raise NotImplementedError(euros, to)


def test_a_call_is_made_with_the_arguments_that_were_granted() -> None:
    arguments = Arguments(pay)
    call = arguments.bind((5, Payee("Ada")), {})
    granted = arguments.granted(call, {"euros": 4, "to": {"name": "Bob"}})
    assert granted.args == (4, Payee("Bob"))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"euros": 4}, "granted with the arguments euros, but the function takes euros, to"),
        ({"euros": 4, "to": {"name": "B"}, "x": 1}, "the arguments euros, to, x"),
        ([4], "granted with no object"),
        ({"euros": "four", "to": {"name": "B"}}, "argument 'euros'"),
        ({"euros": 4, "to": {"name": "B", "iban": "DE"}}, "not called|argument 'to'"),
    ],
)
def test_arguments_that_a_function_cannot_take_as_they_are_are_refused(
    payload: Any, said: str
) -> None:
    arguments = Arguments(pay)
    with pytest.raises(ValueError, match=said):
        arguments.granted(arguments.bind((5, Payee("Ada")), {}), payload)
