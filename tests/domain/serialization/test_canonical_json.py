"""Canonical JSON as RFC 8785 has it, with its own test vectors."""

import hashlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.serialization.canonical_json import (
    MAX_SAFE_INTEGER,
    canonical,
    canonical_object,
    digest,
    flaw,
    same,
)

# RFC 8785, appendix B: the IEEE 754 bits and the text. What is not finite is refused elsewhere.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_are_written_as_ecmascript_does(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))

    assert canonical(number) == text.encode()


def test_a_whole_number_is_written_the_same_as_integer_and_as_float() -> None:
    for number in (0, 1, -1, 10**15, MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER):
        assert canonical(number) == canonical(float(number)) == str(number).encode()


def test_names_are_sorted_by_utf16_units() -> None:
    """RFC 8785, section 3.2.3: an emoji sorts before a Hebrew presentation form."""
    value = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\x80": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }

    assert list(json.loads(canonical(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_the_example_of_the_standard() -> None:
    """RFC 8785, section 3.2.2 and 3.2.4."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }

    assert canonical(value).decode() == (
        '{"literals":[null,true,false],'
        '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_only_what_must_be_escaped_is_escaped() -> None:
    assert canonical('\b\t\n\f\r"\\\x00\x1f\x7f/<\u2028') == (
        b'"\\b\\t\\n\\f\\r\\"\\\\\\u0000\\u001f\x7f/<' + "\u2028".encode() + b'"'
    )


def test_texts_are_not_normalised() -> None:
    assert canonical("A\u030a") != canonical("\u00c5")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_canonical_json_is_a_fixed_point(value: object) -> None:
    if flaw(value, "value") is None:
        once = canonical(value)
        assert canonical(json.loads(once)) == once
        assert flaw(json.loads(once), "value") is None


@given(st.dictionaries(st.text("abcXYZ019_", min_size=1), json_values, max_size=6))
def test_an_object_of_canonical_members_is_canonical(members: dict[str, object]) -> None:
    if flaw(members, "value") is None:
        parts = {name: canonical(value) for name, value in members.items()}
        assert canonical_object(parts) == canonical(members)


def test_a_digest_names_its_algorithm() -> None:
    assert digest(b"{}") == "sha256:" + hashlib.sha256(b"{}").hexdigest()


def doubles(value: object) -> object:
    """Return the value with whole numbers as floats, which canonical JSON does not tell apart."""
    match value:
        case bool():
            return value
        case int():
            return float(value)
        case list():
            return [doubles(item) for item in value]
        case dict():
            return {name: doubles(member) for name, member in reversed(value.items())}
        case _:
            return value


@given(json_values, json_values)
def test_the_same_is_what_has_the_same_canonical_form(one: object, other: object) -> None:
    assert same(one, doubles(one))
    assert same(one, other) is (canonical(one) == canonical(other))


@pytest.mark.parametrize(
    ("one", "other"), [(True, 1), (0, False), (None, False), ("1", 1), ([], {}), ([1], [1, 1])]
)
def test_what_python_takes_for_equal_may_be_something_else(one: object, other: object) -> None:
    assert not same(one, other)
    assert not same(other, one)
