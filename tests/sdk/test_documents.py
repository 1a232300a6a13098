"""Every document that the client sends is valid against the schema that is served."""

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from placet import documents, operations
from placet.wire import Operation

DOCUMENTS = {
    name: text
    for name, text in vars(documents).items()
    if name.isupper() and not name.startswith("_")
}


@pytest.fixture(scope="module")
def schema(schema_sdl: str) -> GraphQLSchema:
    return build_schema(schema_sdl)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_is_valid(schema: GraphQLSchema, name: str) -> None:
    assert validate(schema, parse(DOCUMENTS[name])) == []


def test_each_document_is_an_operation() -> None:
    sent = {
        operation.document
        for operation in vars(operations).values()
        if isinstance(operation, Operation)
    }
    assert sent == set(DOCUMENTS.values())
