"""What keeps a JSON value from being I-JSON (RFC 7493), and where."""

from decimal import Decimal
from typing import Any

import pytest

from domain.serialization.canonical_json import MAX_DEPTH, MAX_SAFE_INTEGER, flaw

NOT_FINITE = "is a number that is not finite"
TOO_LARGE = "is a whole number beyond +-(2^53 - 1); send it as a string"


def nested(levels: int, inner: Any) -> Any:
    value = inner
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -0.0,
        MAX_SAFE_INTEGER,
        -MAX_SAFE_INTEGER,
        float(MAX_SAFE_INTEGER),
        0.1,
        5e-324,
        "",
        "\x00",
        "\U0001f600",
        "\ufffd\ufdcf\ufdf0",
        [],
        {},
        {"": ""},
        {"a": [1, {"b": None}]},
        nested(MAX_DEPTH, 1),
    ],
)
def test_a_valid_value_has_no_flaw(value: Any) -> None:
    assert flaw(value, "input") is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), f"input {NOT_FINITE}"),
        (float("inf"), f"input {NOT_FINITE}"),
        ([1, float("-inf")], f"input.1 {NOT_FINITE}"),
        (2**53, f"input {TOO_LARGE}"),
        (-(2**53), f"input {TOO_LARGE}"),
        (float(2**53), f"input {TOO_LARGE}"),
        (1e300, f"input {TOO_LARGE}"),
        (10**400, f"input {TOO_LARGE}"),
        ({"a": {"b": [0, 2**60]}}, f"input.a.b.1 {TOO_LARGE}"),
        ({"ok": 1, "bad": float("nan"), "worse": 2**60}, f"input.bad {NOT_FINITE}"),
        ("\ud800", "input holds U+D800, which is no Unicode character"),
        ("x\udfffy", "input holds U+DFFF, which is no Unicode character"),
        ("\ufdd0", "input holds U+FDD0, which is no Unicode character"),
        ("\ufffe", "input holds U+FFFE, which is no Unicode character"),
        ("\U0010ffff", "input holds U+10FFFF, which is no Unicode character"),
        (["\ud800"], "input.0 holds U+D800, which is no Unicode character"),
        ({"\ud800": 1}, "a name in input holds U+D800, which is no Unicode character"),
        ({"a": {"\uffff": 1}}, "a name in input.a holds U+FFFF, which is no Unicode character"),
        ({1: 2}, "input has a name that is not a string"),
        (Decimal(1), "input is a Decimal, which JSON does not have"),
        ({"a": b""}, "input.a is a bytes, which JSON does not have"),
    ],
)
def test_the_flaw_and_its_place_are_named(value: Any, message: str) -> None:
    assert flaw(value, "input") == message


@pytest.mark.parametrize("inner", [1, [], {}])
def test_the_depth_is_limited(inner: Any) -> None:
    assert flaw(nested(MAX_DEPTH + 1, inner), "input") == (
        "input" + ".0" * MAX_DEPTH + f" is nested more than {MAX_DEPTH} levels deep"
    )


def test_a_depth_beyond_the_stack_is_a_flaw_too() -> None:
    assert "levels deep" in (flaw(nested(100_000, 1), "input") or "")


def test_a_message_does_not_repeat_a_long_name() -> None:
    message = flaw({"n" * 100_000: float("nan")}, "input")

    assert message == f"input.{'n' * 100}... {NOT_FINITE}"
