"""The stated rules of input: what a name, a text, a JSON value and a policy may be.

Each function gives the first broken rule as a sentence that names the field, or None.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from domain.serialization.canonical_json import flaw, text_flaw
from domain.values import ExpiryAction, Label, Policy, Requirement

MAX_NAME = 200
MAX_TITLE = 500
MAX_TEXT = 10_000
MAX_JSON_BYTES = 256 * 1024
MAX_LABELS = 50
MAX_LABEL_VALUE = 500
MAX_REQUIREMENTS = 20
MAX_PEOPLE = 200
MAX_NAMED = 100
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


def policy(value: Policy, field: str = "policy") -> Problem:
    """Check a policy: at least one requirement, none empty, every count at least one."""
    if not value.requirements:
        return f"{field}.requirements must not be empty: nobody would have to agree"
    if len(value.requirements) > MAX_REQUIREMENTS:
        return f"{field}.requirements has more than {MAX_REQUIREMENTS} entries"
    if value.rejections < 1:
        return f"{field}.rejections must be at least 1"
    if value.on_expiry is not ExpiryAction.REJECT:
        return f"{field}.onExpiry can't be set yet: deadlines are not acted on"
    if value.escalate_to:
        return f"{field}.escalateTo can't be set yet: deadlines are not acted on"
    problems = (
        _requirement(requirement, f"{field}.requirements.{i}")
        for i, requirement in enumerate(value.requirements)
    )
    if problem := first(*problems):
        return problem
    if sum(requirement.count for requirement in value.requirements) > MAX_PEOPLE:
        return f"{field}.requirements ask for more than {MAX_PEOPLE} people"
    return None


def _requirement(requirement: Requirement, field: str) -> Problem:
    if requirement.count < 1:
        return f"{field}.count must be at least 1"
    if not requirement.groups and not requirement.users:
        return f"{field} names no group and no user: nobody could meet it"
    return first(
        _names(requirement.groups, f"{field}.groups"),
        _names(requirement.users, f"{field}.users"),
    )


def _names(values: Iterable[str], field: str) -> Problem:
    values = tuple(values)
    if len(values) > MAX_NAMED:
        return f"{field} has more than {MAX_NAMED} entries"
    return first(*(name(value, f"{field}.{i}") for i, value in enumerate(values)))


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
