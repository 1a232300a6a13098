"""What is wrong with a value that does not meet a JSON Schema, in plain words and with its place.

The library would make an object for each thing that is wrong, with the values in it, which takes
seconds and gigabytes for a value of 256 KiB. So first it says only whether the value is valid, and
then where it is not. The words are made here, from the schema.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from domain.json_schemas import SchemaError, compiled, escaped
from domain.validation import Problem

MAX_WORK = 100_000
"""The cost of a schema times the size of a value.

That takes milliseconds if the value is valid, and at most some 0.3 s if every check of
it fails.
"""
MAX_PROBLEMS = 20
_CHARACTERS_A_VALUE = 20
_MAX_SHOWN = 100
_MAX_OPTIONS = 10
_REQUIRED = " is a required property"


class Mismatch(NamedTuple):
    """What is wrong at one place. ``text`` says what must be the case, and names no place.

    ``pointer`` is the JSON pointer of the place in the value. ``keyword`` is the rule of the
    schema, and ``limit`` its value.
    """

    pointer: str
    keyword: str
    limit: Any
    text: str


def mismatch(schema: Any, value: Any, field: str) -> Problem:
    """Return what is wrong with an I-JSON value, with each place as a JSON pointer, or None."""
    found = mismatches(schema, value)
    return "; ".join(f"{field}{each.pointer} {each.text}" for each in found) or None


def mismatches(schema: Any, value: Any) -> tuple[Mismatch, ...]:
    """Return the first twenty places where something is wrong with an I-JSON value."""
    try:
        validator, cost = compiled(schema, "schema")
    except SchemaError as error:
        return (Mismatch("", "$schema", None, f"can't be checked: {error}"),)
    largest = MAX_WORK // cost
    if (size := size_of(value)) > largest:
        text = (
            f"is too large for this schema: it counts as {size} values, where {_CHARACTERS_A_VALUE}"
            f" characters of text count as one, and the limit is {largest}"
        )
        return (Mismatch("", "$schema", largest, text),)
    if validator.is_valid(value):
        return ()
    found: dict[str, Mismatch] = {}
    for failure in _without_null(validator.evaluate(value).errors()):
        for found_here in _of_failure(schema, value, failure):
            found.setdefault(found_here.pointer, found_here)
        if len(found) >= MAX_PROBLEMS:
            break
    if not found:
        return (Mismatch("", "$schema", None, "must meet the schema"),)
    return tuple(found.values())[:MAX_PROBLEMS]


def size_of(value: Any) -> int:
    """Return how much there is to check: each value, and each name, counts with its text."""
    if isinstance(value, str):
        return 1 + len(value) // _CHARACTERS_A_VALUE
    if isinstance(value, dict):
        return 1 + sum(size_of(name) + size_of(member) for name, member in value.items())
    return 1 + sum(map(size_of, value)) if isinstance(value, list | tuple) else 1


def _without_null(errors: list[Any]) -> Iterator[Any]:
    """Leave out that a value might also have been null, if something else is wrong with it."""
    places = {error["instanceLocation"] for error in errors if not _asks_for_null(error)}
    for error in errors:
        if not (_asks_for_null(error) and error["instanceLocation"] in places):
            yield error


def _asks_for_null(error: Any) -> bool:
    return bool(error["error"].endswith('is not of type "null"'))


def _of_failure(root: Any, value: Any, failure: Any) -> Iterator[Mismatch]:
    place, said = failure["instanceLocation"], failure["error"]
    if said.endswith(_REQUIRED):
        # The library may name the keyword beside it as the place in the schema.
        name = msgspec.json.decode(said.removesuffix(_REQUIRED), type=str)
        yield Mismatch(f"{place}/{escaped(name)}", "required", None, "is missing")
        return
    if said.startswith("False schema"):
        yield Mismatch(place, "additionalProperties", None, "is not allowed; leave it out")
        return
    *path, keyword = failure["schemaLocation"].split("/")
    schema = _at(root, "/".join(path))
    limit = schema.get(keyword) if isinstance(schema, dict) else None
    if keyword == "additionalProperties" and limit is False:
        known = schema.get("properties", {})
        for name in _at(value, place):
            if name not in known:
                pointer = f"{place}/{escaped(name[:_MAX_SHOWN])}"
                yield Mismatch(pointer, keyword, None, "is not allowed; leave it out")
        return
    words = None if limit is None else _WORDS.get(keyword)
    text = f"can't be accepted: {_shown(said)}" if words is None else words(limit)
    yield Mismatch(place, keyword, limit, text)


def _at(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list | tuple) else value.get(name)
        if value is None:
            return None
    return value


_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_FORMATS = {
    "date": "a date such as 2026-01-31",
    "time": "a time with its offset, such as 09:30:00Z",
    "date-time": "a date and time such as 2026-01-31T09:30:00Z",
    "email": "an e-mail address",
}


def _type(limit: Any) -> str:
    kinds = [limit] if isinstance(limit, str) else limit
    return "must be " + " or ".join(_KINDS[kind] for kind in kinds)


def _enum(limit: Any) -> str:
    options = [_shown(str(option)) for option in limit[:_MAX_OPTIONS]]
    if len(limit) > _MAX_OPTIONS:
        options.append(f"another of {len(limit)}")
    return "must be one of " + ", ".join(options)


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


_WORDS: dict[str, Callable[[Any], str]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda limit: f"must be {_shown(str(limit))}",
    "minimum": lambda limit: f"must be at least {limit}",
    "maximum": lambda limit: f"must be at most {limit}",
    "exclusiveMinimum": lambda limit: f"must be more than {limit}",
    "exclusiveMaximum": lambda limit: f"must be less than {limit}",
    "multipleOf": lambda limit: f"must be a multiple of {limit}",
    "minLength": lambda limit: f"must have at least {limit} characters",
    "maxLength": lambda limit: f"must have at most {limit} characters",
    "pattern": lambda limit: f"must match the pattern {_shown(limit)}",
    "format": lambda limit: "must be " + _FORMATS.get(limit, f"of the format {_shown(limit)}"),
    "minItems": lambda limit: f"must have at least {limit} entries",
    "maxItems": lambda limit: f"must have at most {limit} entries",
    "uniqueItems": lambda _: "must not have an entry twice",
    "minProperties": lambda limit: f"must have at least {limit} members",
    "maxProperties": lambda limit: f"must have at most {limit} members",
    "oneOf": lambda _: "must fit exactly one of the alternatives",
    "not": lambda _: "must not be what the schema excludes",
}
