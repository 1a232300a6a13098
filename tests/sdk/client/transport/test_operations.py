"""Every operation that the client sends is valid against what is served."""

from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, validate

from placet.client.transport.envelope import Operation
from placet.client.transport.operations import (
    commands,
    leases,
    queries,
    standing_grants,
    subscriptions,
    substitutes,
)

OPERATIONS: dict[str, Operation[..., Any]] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": each
    for module in (commands, leases, queries, standing_grants, subscriptions, substitutes)
    for name, each in vars(module).items()
    if isinstance(each, Operation)
}
SERVED = build_schema((Path(__file__).parents[4] / "docs" / "schema.graphql").read_text())


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_document_is_valid(name: str) -> None:
    assert validate(SERVED, parse(OPERATIONS[name].document)) == []
