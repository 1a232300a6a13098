"""Half of a surrogate pair, which JSON can carry but no text holds, is never a fault of ours."""

from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
)

from api.schema import SERVED
from tests.api.whole_server import WholeServer

HALF = "\ud800"
STAND_IN = {"Int": 1, "Float": 1.0, "Boolean": True}
FIELDS = [
    (operation, name)
    for operation, type_ in (("query", SERVED.query_type), ("mutation", SERVED.mutation_type))
    if type_ is not None
    for name, field in type_.fields.items()
    if field.args
]


def value_of(type_: Any, half: set[str]) -> Any:
    """Give a value of a type: a half wherever the type of the text is one of these."""
    inner = get_nullable_type(type_)
    if is_list_type(inner):
        return [value_of(inner.of_type, half)]
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    if isinstance(inner, GraphQLInputObjectType):
        fields = inner.fields.items()
        if inner.is_one_of:
            fields = list(fields)[:1]
        return {
            name: value_of(field.type, half)
            for name, field in fields
            if inner.is_one_of or is_non_null_type(field.type) or _named(field.type) in half
        }
    fallback = {"DateTime": "2026-01-31T12:00:00Z", "Duration": "PT1S"}.get(inner.name, "x")
    return STAND_IN.get(inner.name, HALF if inner.name in half else fallback)


def _named(type_: Any) -> str:
    named = get_named_type(type_)
    deep = isinstance(named, GraphQLInputObjectType)
    return "String" if deep else str(named)


@pytest.mark.parametrize(
    "half", [{"String", "ID", "JSON"}, {"DateTime", "Duration"}], ids=["texts", "times"]
)
async def test_it_is_refused_or_finds_nothing(whole_server: WholeServer, half: set[str]) -> None:
    for operation, name in FIELDS:
        document, variables = asked(operation, name, half)
        for token in ("olivia", "engine", "ann"):
            answer = (
                await whole_server.post({"query": document, "variables": variables}, token)
            ).json()
            codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
            assert codes <= {"BAD_REQUEST", "FORBIDDEN", "LIMIT_EXCEEDED"}, answer


def asked(operation: str, name: str, half: set[str]) -> tuple[str, dict[str, Any]]:
    """Give a document with one field, and variables for all of its arguments."""
    type_ = SERVED.query_type if operation == "query" else SERVED.mutation_type
    assert type_ is not None
    arguments: dict[str, GraphQLArgument] = type_.fields[name].args
    declared = ", ".join(f"${argument}: {arguments[argument].type}" for argument in arguments)
    given = ", ".join(f"{argument}: ${argument}" for argument in arguments)
    leaf = " { __typename }" if name != "stateDiagram" else ""
    document = f"{operation} ({declared}) {{ {name}({given}){leaf} }}"
    return document, {each: value_of(arguments[each].type, half) for each in arguments}


@pytest.mark.parametrize("name", ["DateTime", "Duration"])
async def test_in_a_date_or_a_duration_it_is_a_bad_request(
    whole_server: WholeServer, name: str
) -> None:
    field = (
        "executionAt(id: $id, asOf: $it)"
        if name == "DateTime"
        else ("executionAfter(id: $id, version: 1, wait: $it)")
    )
    document = f"query ($id: ID!, $it: {name}) {{ {field} {{ __typename }} }}"
    for half in (HALF, "\udc00", f"PT1{HALF}S"):
        body = {"query": document, "variables": {"id": "x", "it": half}}
        [error] = (await whole_server.post(body)).json()["errors"]
        assert error["extensions"] == {"code": "BAD_REQUEST"}
        assert "is not a d" in error["message"]
