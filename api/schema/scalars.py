"""Scalars: DateTime, Duration and JSON."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NewType

import msgspec
import strawberry
from graphql import GraphQLError, Undefined, ValueNode, value_from_ast_untyped

from domain.approvals.document import duration_json, instant_json

JSON = NewType("JSON", object)

_MAX_SHOWN = 100
# The last one is raised for half of a surrogate pair.
_NOT_CONVERTED = (msgspec.ValidationError, OverflowError, UnicodeEncodeError)
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


def _parse_instant(value: object) -> datetime:
    try:
        return msgspec.convert(value, _Instant, builtin_types=()).astimezone(UTC)
    except _NOT_CONVERTED as error:
        msg = f"{_shown(value)} is not a date and time by RFC 3339, such as 2026-01-31T12:00:00Z"
        raise GraphQLError(msg) from error


def _parse_duration(value: object) -> timedelta:
    try:
        return msgspec.convert(value, timedelta, builtin_types=())
    except _NOT_CONVERTED as error:
        msg = f"{_shown(value)} is not a duration by ISO 8601, such as PT15M"
        raise GraphQLError(msg) from error


def _parse_json(node: ValueNode, variables: dict[str, Any] | None = None) -> object:
    return _complete(value_from_ast_untyped(node, variables))


def _complete(value: object) -> object:
    """Leave out members whose variable was not given; in a list it becomes null."""
    if isinstance(value, dict):
        return {name: _complete(item) for name, item in value.items() if item is not Undefined}
    if isinstance(value, list):
        return [_complete(item) for item in value]
    return None if value is Undefined else value


def _as_it_is(value: object) -> object:
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


SCALARS: dict[object, Any] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A date and time by RFC 3339, in UTC with microseconds. Input may have any "
        "offset.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=instant_json,
        parse_value=_parse_instant,
    ),
    timedelta: strawberry.scalar(
        name="Duration",
        description="A duration by ISO 8601 in days and smaller units, such as PT15M.",
        serialize=duration_json,
        parse_value=_parse_duration,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value within I-JSON (RFC 7493).",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc7493",
        parse_value=_as_it_is,
        parse_literal=_parse_json,
    ),
}
