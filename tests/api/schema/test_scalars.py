from datetime import datetime, timedelta
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult
from strawberry.schema.config import StrawberryConfig

from api.schema.scalars import JSON, SCALARS


@strawberry.type
class Echo:
    @strawberry.field
    def moment(self, value: datetime) -> datetime:
        return value

    @strawberry.field
    def length(self, value: timedelta) -> timedelta:
        return value

    @strawberry.field
    def json(self, value: JSON) -> JSON:
        return value


ECHO = strawberry.Schema(query=Echo, config=StrawberryConfig(scalar_map=SCALARS))


def ask(document: str, **variables: Any) -> ExecutionResult:
    result = ECHO.execute_sync(document, variable_values=variables, root_value=Echo())
    return ExecutionResult(result.data, result.errors)


def moment(text: Any) -> ExecutionResult:
    return ask("query ($value: DateTime!) { moment(value: $value) }", value=text)


def length(text: Any) -> ExecutionResult:
    return ask("query ($value: Duration!) { length(value: $value) }", value=text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-31T12:00:00.25Z", "2026-01-31T12:00:00.250000Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T14:30:00+02:30", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T23:00:00-05:00", "2026-02-01T04:00:00.000000Z"),
    ],
)
def test_a_moment_is_shown_in_utc_with_microseconds(text: str, shown: str) -> None:
    assert moment(text) == ExecutionResult({"moment": shown}, None)


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T12:00:00",
        "2026-01-31",
        "2026-W05-6T12:00:00Z",
        "20260131T120000Z",
        "0001-01-01T00:00:00+23:59",
        "tomorrow",
        "",
        1_769_860_800,
        None,
        ["2026-01-31T12:00:00Z"],
    ],
)
def test_an_invalid_moment_is_refused(value: Any) -> None:
    result = moment(value)
    assert result.data is None
    assert result.errors


@pytest.mark.parametrize(
    ("text", "shown"),
    [("PT15M", "PT900S"), ("PT30S", "PT30S"), ("P1D", "P1D"), ("PT0.5S", "PT0.5S")],
)
def test_a_duration_comes_back_as_long_as_it_was(text: str, shown: str) -> None:
    assert length(text) == ExecutionResult({"length": shown}, None)


@pytest.mark.parametrize("value", ["P1M", "P1Y", "15 minutes", "30", "", 30, None, "PT1e9S"])
def test_an_invalid_duration_is_refused(value: Any) -> None:
    result = length(value)
    assert result.data is None
    assert result.errors


def test_a_message_does_not_repeat_a_long_input() -> None:
    [error] = moment("x" * 100_000).errors or []
    assert "is not a date and time" in error.message


VALUE = {"a": [1, 2.5, "x", None, True], "b": {"c": {}}}


def test_json_goes_through_unchanged() -> None:
    assert ask("query ($value: JSON!) { json(value: $value) }", value=VALUE).data == {"json": VALUE}
    literal = '{ json(value: {a: [1, 2.5, "x", null, true], b: {c: {}}}) }'
    assert ask(literal).data == {"json": VALUE}


def test_a_json_literal_takes_variables() -> None:
    document = "query ($x: JSON, $y: JSON) { json(value: {x: $x, y: $y, z: [$x, $y]}) }"
    assert ask(document, x=1, y=2).data == {"json": {"x": 1, "y": 2, "z": [1, 2]}}


def test_a_variable_that_was_not_given_is_no_member_of_a_literal() -> None:
    document = "query ($x: JSON, $y: JSON) { json(value: {x: $x, y: $y, z: [$x, $y]}) }"
    assert ask(document, x=1).data == {"json": {"x": 1, "z": [1, None]}}
