"""Which JSON Schemas are accepted: they stay within themselves, and don't make checks slow."""

from typing import Any

import jsonschema_rs
import pytest

from domain.json_schemas import (
    DIALECT,
    MAX_BYTES,
    MAX_COST,
    MAX_DEPTH,
    MAX_PATTERN,
    compiled,
    problem,
)


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def unevaluated(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"a": True}, "unevaluatedProperties": False}
    for _ in range(levels):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema


def doubling(levels: int) -> dict[str, Any]:
    """A schema of few words, whose parts are twice as many with each level."""
    defs: dict[str, Any] = {f"d{levels}": {"type": "integer"}}
    for i in range(levels):
        defs[f"d{i}"] = {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}
    return {"$defs": defs, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"$schema": DIALECT, "type": "object", "required": ["a"]},
        {"$defs": {"amount": {"maximum": 5}}, "properties": {"a": {"$ref": "#/$defs/amount"}}},
        {"properties": {"$ref": {"type": "string"}, "$id": {}, "pattern": {"const": 3}}},
        {"$id": "https://example.org/form", "type": "object"},
        {"const": {"$ref": "http://example.org/"}, "default": {"$id": "x"}},
        {"$defs": {"a/b~c": {"type": "integer"}}, "$ref": "#/$defs/a~1b~0c"},
        {"prefixItems": [{"type": "string"}], "items": False},
        nested(MAX_DEPTH),
    ],
)
def test_a_schema_that_stays_within_its_bounds_is_accepted(schema: Any) -> None:
    assert problem(schema, "form") is None


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("no schema", "form must be a JSON Schema"),
        ({"type": "text"}, "form.type is not valid JSON Schema"),
        ({"properties": {"a": 3}}, "form.properties.a is not valid JSON Schema"),
        ({"default": float("nan")}, "form.default is a number that is not finite"),
        ({"dependencies": {"a": {"$ref": "file:///x"}}}, "form.dependencies.a.$ref must be a"),
        ({"items": {"$ref": "#"}}, "form.items.$ref leads back to itself"),
        ({"enum": [{}], "$ref": "#/enum/0"}, "form.$ref is #/enum/0, where the schema has no"),
        ({"items": {"$id": "https://example.org/"}}, "form.items.$id can't be given"),
        ({"items": {"$dynamicRef": "#n"}}, "form.items.$dynamicRef can't be given"),
        ({"$dynamicAnchor": "n", "items": {"$dynamicRef": "#n"}}, "form.$dynamicAnchor can't be"),
        ({"pattern": "(a+)\\1"}, "form.pattern can't be used: it must be a regular expression"),
        ({"pattern": "("}, "form.pattern can't be used"),
        (unevaluated(12), "form is too complex"),
        ({"anyOf": [{"pattern": "a"}] * 25}, "form is too complex"),
        ({"enum": [{"a": i} for i in range(MAX_COST)]}, "form is too complex"),
        ({"required": "a"}, "form.required is not valid JSON Schema"),
        ({"$ref": "http://127.0.0.1:1/x.json"}, "form.$ref must be a reference within"),
        ({"$ref": "file:///etc/hostname"}, "form.$ref must be a reference within"),
        ({"$ref": "#"}, "form.$ref leads back to itself"),
        ({"$ref": "#/$defs/none"}, "where the schema has no schema"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "leads back to itself"),
        ({"$id": "http://example.org/", "$ref": "other"}, "form.$ref must be a reference within"),
        ({"$dynamicRef": "#x"}, "form.$dynamicRef can't be given"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "form.$schema must be"),
        ({"pattern": "(?=a)b"}, "form.pattern can't be used"),
        ({"pattern": "(a{1000}){1000}"}, "form.pattern can't be used"),
        ({"pattern": "a" * (MAX_PATTERN + 1)}, "form has a pattern of"),
        ({"patternProperties": {"a" * (MAX_PATTERN + 1): True}}, "form has a pattern of"),
        ({"title": "a" * MAX_BYTES}, "bytes of JSON, the limit for a schema is"),
        ({"maximum": 2**60}, "form.maximum is a whole number beyond"),
        (nested(MAX_DEPTH + 1), "nested more than"),
        ({"allOf": [True] * MAX_COST}, "form is too complex"),
        (doubling(30), "form is too complex"),
        # What is at a place that is no keyword is no schema.
        ({"$ref": "#/x", "x": {"$ref": "http://127.0.0.1:1/x"}}, "where the schema has no schema"),
    ],
)
def test_any_other_schema_is_refused_with_the_place(schema: Any, said: str) -> None:
    assert said in (problem(schema, "form") or "accepted")


def test_nothing_is_ever_fetched() -> None:
    with pytest.raises(jsonschema_rs.ValidationError, match="Retrieval is disabled"):
        jsonschema_rs.Draft202012Validator({"$ref": "http://127.0.0.1:9/x"}, offline=True)


def test_a_schema_is_compiled_once() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}

    assert compiled(schema, "form").validator is compiled(dict(schema), "schema").validator


def test_the_cost_of_a_schema_is_that_of_all_that_one_value_is_checked_against() -> None:
    assert compiled({"items": {"minimum": 1}}, "form").cost == 2
    assert compiled(doubling(3), "form").cost == 30
    assert compiled({"enum": ["a"] * 500}, "form").cost == 1
