"""JSON Schemas (2020-12) that people and workers send, and their validators.

A schema is run on values that others send, so what that can cost is bounded when it is given:

- References stay within the schema and never lead in a circle. So the schema with every reference
  written out is finite, and its ``cost`` can be counted: one for each schema in it.
- Patterns are matched by an engine whose time is linear in the text. It has no look-around and no
  back-references.
- ``domain.mismatches`` limits the product of this cost and of the size of a value.

Nothing is ever fetched. Values of ``format`` are checked, where the library knows the format.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import jsonschema_rs
import msgspec

from domain.serialization.canonical_json import flaw
from domain.validation import Problem

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
MAX_PATTERN = 500
MAX_PATTERN_BYTES = 64 * 1024
MAX_COST = 1_000
PATTERN_COST = 40
"""The cost of a pattern. The slowest that MAX_PATTERN_BYTES allows takes some 2 us a character."""

_CACHED = 64
_ENDLESS = 1_000_000_000
_MAX_QUOTED = 200
_ONE = (
    "additionalProperties",
    "propertyNames",
    "items",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_SEVERAL = ("prefixItems", "allOf", "anyOf", "oneOf")
# "dependencies" is of older dialects; the library still applies it.
_NAMED = ("properties", "patternProperties", "dependentSchemas", "dependencies")
_KEPT = ("$defs", "definitions")
_BARRED = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef")
_UNEVALUATED = ("unevaluatedItems", "unevaluatedProperties")
_UNEVALUATED_FACTOR = 3
"""The library evaluates what stands beside these keywords up to three times."""


class SchemaError(ValueError):
    """The schema is not accepted. The message says why and where."""


class Compiled(NamedTuple):
    """A schema that was checked. ``cost`` is how many checks one value can need."""

    validator: jsonschema_rs.Validator
    cost: int


def problem(schema: Any, field: str) -> Problem:
    """Return why a schema is not accepted, and where; None if it is.

    A message names the place by its keywords, such as ``form.properties.amount.pattern``.
    """
    try:
        compiled(schema, field)
    except SchemaError as error:
        return str(error)
    return None


def compiled(schema: Any, field: str) -> Compiled:
    """Return the validator of a schema, with its cost. Raises SchemaError, which names ``field``.

    The validators of the last schemas are kept.
    """
    if not isinstance(schema, dict | bool):
        msg = f"{field} must be a JSON Schema, so an object, true or false"
        raise SchemaError(msg)
    if found := flaw(schema, field):
        raise SchemaError(found)
    encoded = msgspec.json.encode(schema)
    if len(encoded) > MAX_BYTES:
        msg = f"{field} is {len(encoded)} bytes of JSON, the limit for a schema is {MAX_BYTES}"
        raise SchemaError(msg)
    try:
        return _compiled(encoded)
    except SchemaError as error:
        msg = f"{field}{error}"
        raise SchemaError(msg) from error


@lru_cache(maxsize=_CACHED)
def _compiled(encoded: bytes) -> Compiled:
    """Raise SchemaError with a message that lacks the name of the field before it."""
    schema = msgspec.json.decode(encoded)
    if isinstance(schema, dict) and schema.get("$schema", DIALECT) != DIALECT:
        msg = f".$schema must be {DIALECT}, or be left out"
        raise SchemaError(msg)
    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ValidationError as error:
        msg = f"{_shown(error.instance_path)} is not valid JSON Schema: {_shortened(error.message)}"
        raise SchemaError(msg) from error
    schemas = dict(_schemas(schema, ""))
    for place, part in schemas.items():
        _check_keywords(part, place)
    cost = 1 if isinstance(schema, bool) else _Costs(schemas).of("")
    if cost > MAX_COST:
        msg = (
            f" is too complex: with its references written out it costs {cost} checks for "
            f"a value, the limit is {MAX_COST}; a pattern counts as {PATTERN_COST}"
        )
        raise SchemaError(msg)
    try:
        validator = jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=True,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(
                size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_PATTERN_BYTES
            ),
        )
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(_unusable(error)) from error
    return Compiled(validator, cost)


def _schemas(schema: Any, place: str, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each schema in one, with its JSON pointer. Schemas that are booleans are left out."""
    if depth > MAX_DEPTH:
        msg = f"{_at(place)}: the schema is nested more than {MAX_DEPTH} levels deep"
        raise SchemaError(msg)
    if not isinstance(schema, dict):
        return
    yield place, schema
    for name, part in _parts(schema, (*_NAMED, *_KEPT)):
        yield from _schemas(part, f"{place}/{name}", depth + 1)


def _parts(schema: dict[str, Any], named: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the schemas directly in a schema, each with its pointer from there."""
    for keyword in _ONE:
        if keyword in schema:
            yield keyword, schema[keyword]
    for keyword in _SEVERAL:
        for i, part in enumerate(schema.get(keyword, ())):
            yield f"{keyword}/{i}", part
    for keyword in named:
        parts = schema.get(keyword)
        if isinstance(parts, dict):
            for name, part in parts.items():
                yield f"{keyword}/{escaped(name)}", part


def escaped(name: str) -> str:
    """Write a name as a token of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _at(place: str) -> str:
    """Write a place in a schema as messages do, such as ``.properties.amount``."""
    return _shown([_unescaped(token) for token in place.split("/")[1:]])


def _shown(path: list[Any]) -> str:
    return _shortened("".join(f".{name}" for name in path))


def _check_keywords(schema: dict[str, Any], place: str) -> None:
    barred = [keyword for keyword in _BARRED if keyword in schema]
    if place:
        barred += [keyword for keyword in ("$id", "$schema") if keyword in schema]
    if barred:
        msg = (
            f"{_at(place)}.{barred[0]} can't be given: refer to a part of the schema as "
            "#/$defs/NAME"
        )
        raise SchemaError(msg)
    for pattern in _patterns(schema):
        if len(pattern) > MAX_PATTERN:
            msg = (
                f"{_at(place)} has a pattern of {len(pattern)} characters, the limit is "
                f"{MAX_PATTERN}"
            )
            raise SchemaError(msg)


def _patterns(schema: dict[str, Any]) -> Iterator[str]:
    if "pattern" in schema:
        yield schema["pattern"]
    yield from schema.get("patternProperties", ())


class _Costs:
    """Counts what a schema costs with all its references written out. Raises SchemaError."""

    def __init__(self, schemas: dict[str, dict[str, Any]]) -> None:
        self._schemas = schemas
        self._known: dict[str, int] = {}
        self._open: set[str] = set()

    def of(self, place: str) -> int:
        """Return the cost of the schema at this place."""
        if place not in self._known:
            self._open.add(place)
            self._known[place] = self._count(self._schemas[place], place)
            self._open.remove(place)
        return self._known[place]

    def _count(self, schema: dict[str, Any], place: str) -> int:
        cost = 1 + PATTERN_COST * sum(1 for _ in _patterns(schema)) + _compared(schema)
        for name, part in _parts(schema, _NAMED):
            cost += self.of(f"{place}/{name}") if isinstance(part, dict) else 1
        if "$ref" in schema:
            cost += self.of(self._target(schema["$ref"], place))
        if any(keyword in schema for keyword in _UNEVALUATED):
            cost *= _UNEVALUATED_FACTOR
        # Doubled at each of many levels it would be a number of many digits.
        return min(cost, _ENDLESS)

    def _target(self, reference: str, place: str) -> str:
        shown = f"{_at(place)}.$ref"
        if not reference.startswith("#"):
            msg = f"{shown} must be a reference within the schema, such as #/$defs/NAME"
            raise SchemaError(msg)
        target = unquote(reference[1:])
        if target not in self._schemas:
            msg = f"{shown} is {_shortened(reference)}, where the schema has no schema"
            raise SchemaError(msg)
        if target in self._open:
            msg = f"{shown} leads back to itself: a schema can't contain itself"
            raise SchemaError(msg)
        return target


def _compared(schema: dict[str, Any]) -> int:
    """Count the values that an answer is compared with one by one.

    The library finds a text or a number among the options of an enum at once.
    """
    options = schema.get("enum", ())
    one_by_one = [option for option in options if isinstance(option, dict | list)]
    if "const" in schema:
        one_by_one.append(schema["const"])
    return sum(map(_values, one_by_one)) + len(schema.get("required", ()))


def _values(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_values, value.values()))
    return 1 + sum(map(_values, value)) if isinstance(value, list) else 1


def _unusable(error: jsonschema_rs.ValidationError) -> str:
    place = _shown(error.instance_path)
    if error.instance_path and error.instance_path[-1] == "pattern":
        return (
            f"{place} can't be used: it must be a regular expression without look-around and "
            "back-references, and small; write maxLength instead of a large {n}"
        )
    return f"{place} can't be used: {_shortened(error.message)}"


def _unescaped(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "..."
