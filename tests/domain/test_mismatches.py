"""What is said of a value that does not meet a JSON Schema, and how long that can take."""

from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from domain.json_schemas import MAX_COST, compiled
from domain.mismatches import MAX_PROBLEMS, MAX_WORK, mismatch, mismatches, size_of
from tests.domain.test_json_schemas import doubling, unevaluated

HEAVY_PATTERN: dict[str, Any] = {"items": {"pattern": "[ab]*a[ab]{400}c"}}


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        ({"items": {"allOf": [{"minimum": i} for i in range(MAX_COST - 10)]}}, -1),
        ({"items": {"enum": [{"a": i} for i in range(450)]}}, {"a": -1}),
        ({**doubling(7), "items": {"minimum": 1}}, 0),
        ({"items": unevaluated(4)}, {"a": 1, "b": 2}),
        ({"anyOf": [{"items": {"maximum": i}} for i in range(450)]}, 900),
        (HEAVY_PATTERN, "ab" * 1000),
        ({"items": {"anyOf": [{"pattern": f"[ab]*a[ab]{{300}}{i}"} for i in range(20)]}}, "ba" * 9),
        ({"uniqueItems": True}, 1),
    ],
)
def test_the_largest_value_that_a_costly_schema_takes_is_checked_in_time(
    schema: Any, part: Any
) -> None:
    size = MAX_WORK // compiled(schema, "schema").cost
    value = [part] * (size // size_of(part) - 1)
    assert "too large" in mismatches(schema, [part, part, *value])[0].text
    began = process_time()

    mismatches(schema, value)

    assert process_time() - began < 1


def test_a_place_is_a_json_pointer() -> None:
    schema = {"properties": {"a/b": {"items": {"properties": {"amount": {"maximum": 5}}}}}}
    value = {"a/b": [{"amount": 5}, {"amount": 9}]}

    assert mismatch(schema, value, "payload") == "payload/a~1b/1/amount must be at most 5"
    assert mismatch(schema, {"a/b": []}, "payload") is None


def test_only_the_first_places_are_said() -> None:
    assert len(mismatches({"items": {"type": "null"}}, [1] * 100)) == MAX_PROBLEMS


def test_a_message_never_holds_a_whole_value() -> None:
    said = mismatch({"type": "integer"}, "a" * 10_000, "payload")

    assert said == "payload must be a whole number"
    assert len(mismatch({"contains": {"const": 1}}, ["a" * 10_000], "payload") or "") < 200


def test_a_schema_that_is_not_accepted_is_met_by_nothing() -> None:
    assert (mismatch({"type": "text"}, 1, "payload") or "").startswith("payload can't be checked")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~%"), inner, max_size=3)
    ),
    max_leaves=6,
)
LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": ["integer", "null"]},
        {"const": {"a": [1]}},
        {"enum": [1, "a", None]},
        {"minimum": 3},
        {"pattern": "^a"},
        {"required": ["a", "b"]},
        {"not": {}},
        {"propertyNames": {"maxLength": 1}},
        {"contains": {"type": "null"}},
        False,
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda parts, closed: {"properties": parts, "additionalProperties": closed},
            st.dictionaries(st.text("ab/~%"), inner, max_size=3),
            st.booleans(),
        ),
        st.builds(lambda part: {"items": part}, inner),
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"oneOf": [a, b]}, inner, inner),
        st.builds(lambda a: {"allOf": [a], "unevaluatedProperties": False}, inner),
        st.builds(lambda a, b: {"if": a, "then": b}, inner, inner),
    ),
    max_leaves=6,
).filter(lambda schema: isinstance(schema, dict))


@given(schema=SCHEMAS, value=VALUES)
@settings(max_examples=150, deadline=None)
def test_whatever_the_schema_refuses_has_a_place_and_a_reason(schema: Any, value: Any) -> None:
    problem = mismatch(schema, value, "value")

    assert (problem is None) is Draft202012Validator(schema).is_valid(value)
    assert problem is None or problem.startswith("value")
