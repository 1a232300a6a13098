"""Every list of the schema is limited: what a document may ask for, and what a request may send."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    get_introspection_query,
    get_named_type,
    is_composite_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)

from api.graphql.document_cache import DocumentCache
from api.graphql.query_limits import MAX_ITEMS, MAX_OBJECTS
from api.schema import SERVED
from api.schema.limits import MAX_HOLDING, MAX_VALUES
from tests.api.whole_server import WholeServer

# Lists in inputs of commands, whose length the domain limits: it refuses the command.
OF_COMMANDS = {
    "ApprovalPolicyInput.requirements",
    "ApprovalPolicyInput.escalateTo",
    "ApprovalPolicyInput.remindBefore",
    "RequirementInput.groups",
    "RequirementInput.users",
    "StartExecutionInput.labels",
    "ApprovalPolicyInput.acrValues",
    "SubstituteInput.groups",
    "WebhookInput.types",
    "WebhookInput.workflows",
    "WebhookInput.groups",
}
FILTERS = ("ApprovalFilter", "DecisionFilter", "EventFilter", "ExecutionFilter")
OF_WORKERS = {"ClaimInput.queues", "ClaimInput.holding", "ClaimInput.workflows"}


def listed(type_: Any) -> bool:
    return is_list_type(type_.of_type if is_non_null_type(type_) else type_)


def fields() -> Iterator[tuple[str, Any]]:
    for type_ in SERVED.type_map.values():
        if not type_.name.startswith("__"):
            for name, field in getattr(type_, "fields", {}).items():
                yield f"{type_.name}.{name}", field


def test_every_list_of_objects_has_a_size_in_the_limit_on_documents() -> None:
    unlimited = [
        name
        for name, field in fields()
        if not isinstance(field, GraphQLInputField)
        and listed(field.type)
        and is_composite_type(get_named_type(field.type))
        # The edges of a page count with the field that has the page.
        and not name.endswith(".edges")
        and MAX_ITEMS not in field.extensions
    ]
    assert unlimited == []


def test_every_list_that_a_client_sends_has_a_limit() -> None:
    sent: dict[str, GraphQLArgument | GraphQLInputField] = {}
    for name, field in fields():
        if isinstance(field, GraphQLInputField):
            sent[name] = field
        else:
            sent |= {f"{name}.{argument}": each for argument, each in field.args.items()}
    unlimited = {
        name
        for name, value in sent.items()
        if listed(value.type) and MAX_ITEMS not in value.extensions and not name.startswith(FILTERS)
    }
    assert unlimited == OF_COMMANDS | OF_WORKERS


FILTER_LISTS = [
    (type_.name, name, field)
    for type_ in SERVED.type_map.values()
    if type_.name in FILTERS
    for name, field in type_.fields.items()  # type: ignore[attr-defined]
    if listed(field.type)
]
QUERIES = {
    "ApprovalFilter": "query($f: ApprovalFilter) { approvals(filter: $f) { position } }",
    "DecisionFilter": "query($f: DecisionFilter) { decisions(filter: $f) { position } }",
    "EventFilter": "query($f: EventFilter) { events(filter: $f) { pageInfo { endCursor } } }",
    "ExecutionFilter": "query($f: ExecutionFilter) { executions(filter: $f) { position } }",
}


async def test_a_condition_of_a_filter_has_a_limited_number_of_values(
    whole_server: WholeServer,
) -> None:
    for filter_, name, field in FILTER_LISTS:
        item: Any = get_named_type(field.type)
        value: Any = "a"
        if is_input_object_type(item):
            value = {"name": "a", "value": "b"}
        elif hasattr(item, "values"):
            value = next(iter(item.values))
        variables = {"f": {name: [value] * (MAX_VALUES + 1)}}
        response = await whole_server.post({"query": QUERIES[filter_], "variables": variables})
        [error] = response.json()["errors"]
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert error["message"] == (
            f"filter.{name} has {MAX_VALUES + 1} values, the limit is {MAX_VALUES}; "
            "send several requests"
        )


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("document", "name", "limit"),
    [
        ("mutation($v: [CommandInput!]!) { submit(commands: $v) { __typename } }", "commands", 256),
        (
            "mutation($v: [DecisionInput!]!) { grantApprovals(inputs: $v) { __typename } }",
            "inputs",
            100,
        ),
        (
            "mutation($v: [RejectionInput!]!) { rejectApprovals(inputs: $v) { __typename } }",
            "inputs",
            100,
        ),
        (
            'mutation($v: [ID!]) { releaseExecutions(worker: "w", executionIds: $v) { released } }',
            "executionIds",
            10_000,
        ),
    ],
)
async def test_a_list_argument_is_refused_by_its_length_before_it_is_read(
    log_url: str, document: str, name: str, limit: int, *, fast: bool
) -> None:
    async with WholeServer.open(log_url, fast_path=fast) as server:
        # Each entry is invalid, which would be the answer if they were read.
        variables = {"v": [None] * (limit + 1)}
        response = await server.post({"query": document, "variables": variables}, token="engine")
        assert response.json() == {
            "errors": [
                {
                    "message": f"{name} has {limit + 1} entries, the limit is {limit}; "
                    "send several requests",
                    "extensions": {"code": "LIMIT_EXCEEDED"},
                }
            ]
        }


async def test_a_worker_can_name_a_limited_number_of_executions(whole_server: WholeServer) -> None:
    document = "mutation($i: ClaimInput!) { claimExecutions(input: $i) { lost } }"
    holding = [{"executionId": str(n)} for n in range(MAX_HOLDING + 1)]
    variables = {"i": {"worker": "w", "holding": holding}}
    response = await whole_server.post({"query": document, "variables": variables}, token="engine")
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"


DEEP = "{ execution { approvals(first: 500) { edges { node { decisions { verdict } } } } } }"
SNAPSHOTS = " ".join(f"a{n}: approvals {{ decisions {{ verdict }} }}" for n in range(30))


@pytest.mark.parametrize(
    "document",
    [
        "mutation($c: [CommandInput!]!) { submit(commands: $c) " + DEEP + " }",
        "mutation($i: [DecisionInput!]!) { grantApprovals(inputs: $i) " + DEEP + " }",
        "mutation($i: ClaimInput!) { claimExecutions(input: $i) { claims " + DEEP + " } }",
        "{ executions(first: 500) { edges { node { children { key } steps { x } } } } }",
        "query($i: ID!) { executionAt(id: $i, version: 1) { " + SNAPSHOTS + " } }",
    ],
)
def test_lists_in_lists_are_counted_in_the_limit_on_items(document: str) -> None:
    [error] = DocumentCache(SERVED).get(document).errors
    assert (error.extensions or {})["code"] == "LIMIT_EXCEEDED"
    assert f"the limit is {MAX_OBJECTS}" in error.message


def test_the_introspection_query_of_graphiql_is_within_the_limits() -> None:
    document = get_introspection_query(
        descriptions=True,
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    assert DocumentCache(SERVED).get(document).errors == ()
