"""The stated rules of input: what a name, a text and a JSON value may be.

Each function gives the first broken rule as a sentence that names the field, or None.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from domain.serialization.canonical_json import flaw, text_flaw
from domain.values import Label

MAX_NAME = 200
MAX_TITLE = 500
MAX_TEXT = 10_000
MAX_JSON_BYTES = 256 * 1024
MAX_LABELS = 50
MAX_LABEL_VALUE = 500
MAX_ATTEMPT = 1_000_000
MAX_DELAY = timedelta(days=36_500)

Problem = str | None


class Check(Protocol):
    """A rule about one value of a field."""

    def __call__(self, value: Any, field: str) -> Problem:
        """Say which rule the value of the field breaks."""
        ...


def first(*problems: Problem) -> Problem:
    """Give the first problem there is."""
    return next((problem for problem in problems if problem), None)


def optional(check: Check, value: Any, field: str) -> Problem:
    """Apply a rule unless the value is None."""
    return None if value is None else check(value, field)


def name(value: str, field: str, limit: int = MAX_NAME) -> Problem:
    """Check a name or key: 1 to ``limit`` characters, not blank, no control characters."""
    if not value.strip():
        return f"{field} must not be empty"
    if len(value) > limit:
        return f"{field} has {len(value)} characters, the limit is {limit}"
    if not value.isprintable():
        return f"{field} holds a control character or another that can't be printed"
    return None


def text(value: str, field: str, limit: int = MAX_TEXT) -> Problem:
    """Check a text: at most ``limit`` characters, no NUL."""
    if len(value) > limit:
        return f"{field} has {len(value)} characters, the limit is {limit}"
    if "\x00" in value:
        return f"{field} holds a NUL character"
    return text_flaw(value, field)


def required_text(value: str, field: str, limit: int = MAX_TEXT) -> Problem:
    """Check a text that must say something."""
    return text(value, field, limit) if value.strip() else f"{field} must not be empty"


def json(value: Any, field: str) -> Problem:
    """Check a JSON value: I-JSON (RFC 7493) of at most 256 KiB when encoded without spaces."""
    if problem := flaw(value, field):
        return problem
    if (size := len(msgspec.json.encode(value))) > MAX_JSON_BYTES:
        return f"{field} is {size} bytes of JSON, the limit is {MAX_JSON_BYTES}"
    return None


def labels(values: Sequence[Label], field: str = "labels") -> Problem:
    """Check labels: a set of pairs, names with one value each."""
    if len(values) > MAX_LABELS:
        return f"{field} has {len(values)} entries, the limit is {MAX_LABELS}"
    if len({label.name for label in values}) != len(set(values)):
        return f"{field} gives one name two values"
    return first(
        *(name(label.name, f"{field}.{i}.name") for i, label in enumerate(values)),
        *(
            text(label.value, f"{field}.{i}.value", MAX_LABEL_VALUE)
            for i, label in enumerate(values)
        ),
    )


def unsupported(value: Any, field: str, feature: str) -> Problem:
    """Refuse a field that is in the contract but that nothing acts on yet."""
    return None if value is None else f"{field} can't be given yet: {feature} is not acted on"


def at_least(minimum: int, value: int, field: str, maximum: int = MAX_ATTEMPT) -> Problem:
    """Check a whole number's bounds, both inclusive."""
    if minimum <= value <= maximum:
        return None
    return f"{field} is {value}, it must be from {minimum} to {maximum}"


def delay(value: timedelta, field: str) -> Problem:
    """Check a length of time: not negative, at most a hundred years."""
    if timedelta(0) <= value <= MAX_DELAY:
        return None
    return f"{field} must be from 0 to {MAX_DELAY.days} days"
