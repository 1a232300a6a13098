"""Rules for input: which names, texts, JSON values, labels and delays are accepted.

Each function returns the first broken rule as a sentence that begins with the field, or None.
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
    """A rule for the value of a field."""

    def __call__(self, value: Any, field: str) -> Problem:
        """Return the rule that the value breaks, or None."""
        ...


def first(*problems: Problem) -> Problem:
    """Return the first of these that is a problem."""
    return next((problem for problem in problems if problem), None)


def optional(check: Check, value: Any, field: str) -> Problem:
    """Check a value that may be missing."""
    return None if value is None else check(value, field)


def name(value: str, field: str) -> Problem:
    """Check a name or a key: 1 to 200 characters, not blank, all printable."""
    if not value.strip():
        return f"{field} must not be empty"
    if len(value) > MAX_NAME:
        return f"{field} has {len(value)} characters, the limit is {MAX_NAME}"
    if not value.isprintable():
        return f"{field} holds a character that can't be printed, such as a line break"
    return None


def text(value: str, field: str, limit: int = MAX_TEXT) -> Problem:
    """Check a text: at most ``limit`` characters, all of them Unicode, no NUL."""
    if len(value) > limit:
        return f"{field} has {len(value)} characters, the limit is {limit}"
    if "\x00" in value:
        return f"{field} holds a NUL character"
    return text_flaw(value, field)


def required_text(value: str, field: str, limit: int = MAX_TEXT) -> Problem:
    """Check a text that must not be blank."""
    return text(value, field, limit) if value.strip() else f"{field} must not be empty"


def json(value: Any, field: str) -> Problem:
    """Check a JSON value: I-JSON (RFC 7493) of at most 256 KiB when encoded without spaces."""
    if problem := flaw(value, field):
        return problem
    if (size := len(msgspec.json.encode(value))) > MAX_JSON_BYTES:
        return f"{field} is {size} bytes of JSON, the limit is {MAX_JSON_BYTES}"
    return None


def labels(values: Sequence[Label]) -> Problem:
    """Check labels: at most 50, and one value for each name."""
    if len(values) > MAX_LABELS:
        return f"labels has {len(values)} entries, the limit is {MAX_LABELS}"
    if len({label.name for label in values}) != len(set(values)):
        return "labels gives one name two values"
    return first(
        *(name(label.name, f"labels.{i}.name") for i, label in enumerate(values)),
        *(
            text(label.value, f"labels.{i}.value", MAX_LABEL_VALUE)
            for i, label in enumerate(values)
        ),
    )


def attempt(value: int, field: str) -> Problem:
    """Check the number of an attempt: from 1 to a million."""
    if 1 <= value <= MAX_ATTEMPT:
        return None
    return f"{field} is {value}, it must be from 1 to {MAX_ATTEMPT}"


def span(value: timedelta, field: str) -> Problem:
    """Check a span of time: longer than nothing, and at most about a hundred years."""
    if timedelta(0) < value <= MAX_DELAY:
        return None
    return f"{field} must be longer than 0 and at most {MAX_DELAY.days} days"


def delay(value: timedelta, field: str) -> Problem:
    """Check a delay: not negative, and at most about a hundred years."""
    if timedelta(0) <= value <= MAX_DELAY:
        return None
    return f"{field} must be from 0 to {MAX_DELAY.days} days"
