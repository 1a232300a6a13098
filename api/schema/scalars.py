"""Scalars: moments, durations and JSON."""

from datetime import UTC, datetime, timedelta
from typing import Any, NewType

import msgspec
import strawberry
from graphql import GraphQLError

from domain.documents import instant_json

JSON = NewType("JSON", object)


def _parse_instant(value: object) -> datetime:
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            instant = None
        if instant is not None and instant.tzinfo is not None and "T" in value.upper():
            return instant.astimezone(UTC)
    msg = f"{value!r} is no moment in RFC 3339, such as 2026-01-31T12:00:00Z"
    raise GraphQLError(msg)


def _parse_duration(value: object) -> timedelta:
    try:
        return msgspec.convert(value, timedelta, strict=True, builtin_types=())
    except msgspec.ValidationError as error:
        msg = f"{value!r} is no duration in ISO 8601, such as PT15M"
        raise GraphQLError(msg) from error


def _write_duration(value: timedelta) -> str:
    return str(msgspec.to_builtins(value))


SCALARS: dict[object, Any] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment: RFC 3339, in UTC, with microseconds.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=instant_json,
        parse_value=_parse_instant,
    ),
    timedelta: strawberry.scalar(
        name="Duration",
        description="A length of time in ISO 8601, such as PT15M.",
        serialize=_write_duration,
        parse_value=_parse_duration,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any I-JSON value (RFC 7493).",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc7493",
    ),
}
