"""Requests that schemathesis generates from the served schema are answered or refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from graphql import NameNode, ObjectFieldNode, ValueNode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes

from application.event_store.verification.log_audit import Verification
from bench.stack import Stack
from tests.conftest import EMBEDDED, Servers
from tests.support.forked import placet_server, stack

# What the schema can't say of a value: its bounds, and that a cursor was given by the service.
# FORBIDDEN is for workers' calls by who is none.
SAID = {"BAD_REQUEST", "FORBIDDEN", "LIMIT_EXCEEDED", "READ_MODEL_BEHIND"}
TOKENS = {
    "everything-but-engine": ("OPERATOR", "APPROVER", "AUDITOR", "ADMIN"),
    "engine": ("OPERATOR", "ENGINE"),
}


def members(values: dict[str, ValueNode]) -> ValueNode:
    return nodes.Object(
        [ObjectFieldNode(name=NameNode(value=n), value=v) for n, v in values.items()]
    )


SCALARS = {
    "JSON": st.recursive(
        st.one_of(
            st.text(max_size=20).map(nodes.String),
            st.integers(-(2**60), 2**60).map(nodes.Int),
            st.booleans().map(nodes.Boolean),
            st.just(nodes.Null),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(nodes.List),
            st.dictionaries(
                st.from_regex(r"\A[_A-Za-z]\w{0,5}\Z", alphabet="_aZ9"), inner, max_size=3
            ).map(members),
        ),
        max_leaves=5,
    ),
    "DateTime": st.datetimes().map(lambda moment: nodes.String(moment.isoformat() + "Z")),
    "Duration": st.sampled_from(["PT1S", "PT15M", "P1D", "-PT1S"]).map(nodes.String),
}
for name, values in SCALARS.items():
    schemathesis.graphql.scalar(name, values)


class FuzzedServer:
    """A server of these tests' own, with a token for each kind of caller."""

    def __init__(self, server: Stack, url: str) -> None:
        self.server = server
        self.url = url
        self.tokens = {
            name: placet_server(
                *("token", "create", f"--name={name}", "--group=finance"),
                *(f"--role={role}" for role in roles),
                database_url=url,
            ).strip()
            for name, roles in TOKENS.items()
        }


@pytest.fixture(scope="module")
def tested(
    postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FuzzedServer]:
    postgres = postgres_servers.get(EMBEDDED)
    url = postgres.create()
    with stack(tmp_path_factory.mktemp("generated"), database_url=url) as server:
        yield FuzzedServer(server, url)
    postgres.drop(url)


SCHEMA = schemathesis.graphql.from_path(Path(__file__).parents[2] / "docs" / "schema.graphql")
OPERATIONS = {}
for result in SCHEMA.get_all_operations():
    assert isinstance(result, Ok), result
    OPERATIONS[result.ok().label] = result.ok()


# Not by the library's own decorator, which gives all these tests one and the same id.
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_generated_request_is_answered_or_refused(
    operation: str, tested: FuzzedServer
) -> None:
    @given(case=OPERATIONS[operation].as_strategy())
    @settings(
        max_examples=20,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        for token in tested.tokens.values():
            response = case.call(
                base_url=f"{tested.server.url}/graphql",
                headers={"Authorization": f"Bearer {token}"},
            )
            assert response.status_code == 200
            codes = {error["extensions"]["code"] for error in response.json().get("errors", ())}
            assert codes <= SAID, response.text
            if not codes:
                case.validate_response(response, checks=[not_a_server_error])

    ask()


def test_no_error_was_unexpected_and_the_log_is_sound(tested: FuzzedServer) -> None:
    log = (Path(tested.server.data) / "server.log").read_text()
    assert "unexpected_error" not in log
    verification = Verification(tested.url)
    assert list(verification.findings()) == []
