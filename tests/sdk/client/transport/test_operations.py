"""Every document that the client sends is valid against what is served."""

from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from placet.client.transport import documents, operations
from placet.client.transport.envelope import Operation

DOCUMENTS = {
    name: text
    for name, text in vars(documents).items()
    if name.isupper() and not name.startswith("_")
}
SERVED = build_schema((Path(__file__).parents[4] / "docs" / "schema.graphql").read_text())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_is_valid(name: str) -> None:
    assert validate(SERVED, parse(DOCUMENTS[name])) == []


def test_each_document_is_an_operation() -> None:
    sent = {
        operation.document
        for operation in vars(operations).values()
        if isinstance(operation, Operation)
    }
    assert sent == set(DOCUMENTS.values())
