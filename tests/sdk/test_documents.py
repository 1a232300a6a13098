"""Every document that the client sends is valid against the contract and what is served."""

from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from placet import documents, operations
from placet.wire import Operation

DOCUMENTS = {
    name: text
    for name, text in vars(documents).items()
    if name.isupper() and not name.startswith("_")
}

# What the service has beside the contract.
ADDED = {"EXECUTION_AFTER"}

ROOT = Path(__file__).parents[2]
SERVED = "docs/schema.graphql"
SCHEMAS = {
    path: build_schema((ROOT / path).read_text()) for path in ("tests/api/contract.graphql", SERVED)
}


@pytest.mark.parametrize("path", SCHEMAS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_is_valid(path: str, name: str) -> None:
    beside = name in ADDED and path != SERVED
    assert (validate(SCHEMAS[path], parse(DOCUMENTS[name])) == []) is not beside


def test_each_document_is_an_operation() -> None:
    sent = {
        operation.document
        for operation in vars(operations).values()
        if isinstance(operation, Operation)
    }
    assert sent == set(DOCUMENTS.values())
