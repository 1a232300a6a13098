"""The rules of the service for names, texts and JSON values, for services in memory.

Each function returns the first broken rule as the service words it, or None. They are copies, and
tests hold them equal to the service's own.
"""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

import msgspec

from placet._util.texts import barred
from placet.models.rules import MAX_DEPTH, MAX_JSON_BYTES, MAX_NAME, MAX_SAFE_INTEGER, MAX_TEXT

Problem = str | None

_MAX_SHOWN = 100


def first(problems: Iterable[Problem]) -> Problem:
    """Return the first of these that is a problem."""
    return next((problem for problem in problems if problem), None)


def name_problem(value: str | None, field: str) -> Problem:
    """Check a name or a key, which may be missing."""
    if value is None:
        return None
    if not value.strip():
        return f"{field} must not be empty"
    if len(value) > MAX_NAME:
        return f"{field} has {len(value)} characters, the limit is {MAX_NAME}"
    if not value.isprintable():
        return f"{field} holds a character that can't be printed, such as a line break"
    return None


def text_problem(value: str | None, field: str, limit: int = MAX_TEXT) -> Problem:
    """Check a text, which may be missing."""
    if value is None:
        return None
    if len(value) > limit:
        return f"{field} has {len(value)} characters, the limit is {limit}"
    if "\x00" in value:
        return f"{field} holds a NUL character"
    return _character_problem(value, field)


def required_text_problem(value: str, field: str, limit: int = MAX_TEXT) -> Problem:
    """Check a text that must not be blank."""
    return text_problem(value, field, limit) if value.strip() else f"{field} must not be empty"


def json_problem(value: Any, field: str) -> Problem:
    """Check a JSON value."""
    if problem := _flaw(value, field, 0):
        return problem
    if (size := len(msgspec.json.encode(value))) > MAX_JSON_BYTES:
        return f"{field} is {size} bytes of JSON, the limit is {MAX_JSON_BYTES}"
    return None


def _character_problem(value: str, path: str) -> Problem:
    character = barred(value)
    if character is None:
        return None
    return f"{path} holds U+{ord(character):04X}, which is no Unicode character"


def _flaw(value: Any, path: str, depth: int) -> Problem:
    match value:
        case None | bool():
            return None
        case str():
            return _character_problem(value, path)
        case int() | float():
            return _number_problem(value, path)
        case _ if depth >= MAX_DEPTH:
            return f"{path} is nested more than {MAX_DEPTH} levels deep"
        case dict():
            return first(_member_problems(value, path, depth))
        case _:
            return first(_flaw(item, f"{path}.{i}", depth + 1) for i, item in enumerate(value))


def _number_problem(value: float, path: str) -> Problem:
    if not -inf < value < inf:
        return f"{path} is a number that is not finite"
    if abs(value) > MAX_SAFE_INTEGER and value == int(value):
        return f"{path} is a whole number beyond +-(2^53 - 1); send it as a string"
    return None


def _member_problems(value: dict[str, Any], path: str, depth: int) -> Iterator[Problem]:
    for name, member in value.items():
        yield _character_problem(name, f"a name in {path}")
        shown = name if len(name) <= _MAX_SHOWN else name[:_MAX_SHOWN] + "..."
        yield _flaw(member, f"{path}.{shown}", depth + 1)
