from base64 import b64decode
from typing import Any

import pytest

from domain.execution.transitions import mermaid
from domain.serialization.event_codec import hash_of
from tests.api.graphql_client import GraphQLClient
from tests.api.positions import number
from tests.application.server_process import complete, grant, step
from tests.domain.people import (
    ADAM,
    ANN,
    AUDREY,
    CLEO,
    ENGINE,
    NOBODY,
    OLIVIA,
    OTHER_ENGINE,
    STRANGER,
)

EXECUTION = "query ($id: ID!) { execution(id: $id) { id version } }"
APPROVAL = """query ($id: ID!) { approval(id: $id) {
    id executionId workflow document initiator { id } execution { id } erased
    outstanding { count groups users } viewerMayDecide { allowed reasons } } }"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
AT = """query ($id: ID!, $version: Int, $asOf: DateTime) {
    executionAt(id: $id, version: $version, asOf: $asOf) {
        executionId asOf version steps { edges { node { key } } } approvals { key status } } }"""
EVENTS = """query ($filter: EventFilter, $first: Int, $after: String) {
    events(filter: $filter, first: $first, after: $after) {
        edges { cursor node { position executionId version type topic data at previousHash hash
            storedBytes actor { id } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
PARTS = """query ($id: ID!, $first: Int, $after: String, $status: ApprovalStatus) {
    execution(id: $id) {
        steps(first: $first, after: $after) {
            edges { cursor node { key name attempts result error completedAt } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
        approvals(first: $first, after: $after, status: $status) {
            edges { cursor node { key } } totalCount position
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
        events(first: $first, after: $after) {
            edges { cursor node { version } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""
EXECUTIONS = """query ($atLeast: String, $after: String, $first: Int = 50) {
    executions(atLeast: $atLeast, after: $after, first: $first) {
        edges { cursor node { id version state
            steps { edges { node { key } } } approvals { edges { node { key } } totalCount } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount position } }"""
APPROVALS = """query ($atLeast: String, $filter: ApprovalFilter) {
    approvals(atLeast: $atLeast, filter: $filter) {
        edges { node { id status execution { state } } } totalCount position } }"""


def nodes(connection: Any) -> list[Any]:
    return [whole_server["node"] for whole_server in connection["edges"]]


async def test_the_viewer_is_the_caller(client: GraphQLClient) -> None:
    document = "{ viewer { id name roles groups queues } }"
    assert await client.ask(document, ANN) == {
        "id": "ann",
        "name": "Ann",
        "roles": ["APPROVER"],
        "groups": ["finance", "managers"],
        "queues": None,
    }
    assert (await client.ask(document, ENGINE))["queues"] == ["default"]


async def test_the_diagram_is_the_transition_table(client: GraphQLClient) -> None:
    assert await client.ask("{ stateDiagram }", NOBODY) == mermaid()


async def test_an_execution_is_null_for_callers_who_may_not_see_it(client: GraphQLClient) -> None:
    execution = await client.process.start()
    for by in (OLIVIA, ENGINE, AUDREY, ADAM):
        assert await client.ask(EXECUTION, by, id=str(execution.id))
        assert await client.ask(NODE, by, id=str(execution.id))
    for by in (OTHER_ENGINE, ANN, NOBODY):
        assert await client.ask(EXECUTION, by, id=str(execution.id)) is None
        assert await client.ask(NODE, by, id=str(execution.id)) is None
        assert await client.ask(AT, by, id=str(execution.id), version=1) is None


@pytest.mark.parametrize("text", ["", "x", "x.1", "00000000-0000-0000-0000-000000000000", "ä.1"])
async def test_an_invalid_id_finds_nothing(client: GraphQLClient, text: str) -> None:
    for document in (EXECUTION, APPROVAL, NODE):
        assert await client.ask(document, id=text) is None
    assert await client.ask(AT, id=text, version=1) is None


async def test_an_approval_shows_to_each_caller_what_the_caller_may_see(
    client: GraphQLClient,
) -> None:
    execution = await client.process.start()
    asked = await client.process.ask(execution.id)
    found = await client.ask(APPROVAL, ANN, id=str(asked.id))
    assert found["id"] == str(asked.id)
    assert (found["executionId"], found["workflow"]) == (str(execution.id), "travel")
    assert (found["execution"], found["erased"]) == (None, False)
    assert found["document"]["payload"] == {"cost": 1}
    assert found["outstanding"] == [{"count": 1, "groups": ["finance"], "users": []}]
    assert found["viewerMayDecide"] == {"allowed": True, "reasons": []}
    seen = await client.ask(APPROVAL, OLIVIA, id=str(asked.id))
    assert seen["execution"] == {"id": str(execution.id)}
    assert seen["viewerMayDecide"]["allowed"] is False
    assert await client.ask(NODE, ANN, id=str(asked.id)) == {
        "__typename": "Approval",
        "id": str(asked.id),
    }
    for by in (CLEO, STRANGER, NOBODY):
        assert await client.ask(APPROVAL, by, id=str(asked.id)) is None
    await client.process.do(grant(asked))
    after = await client.ask(APPROVAL, ANN, id=str(asked.id))
    assert after["viewerMayDecide"]["allowed"] is False
    assert after["viewerMayDecide"]["reasons"]


async def test_a_past_state_of_an_execution_can_be_read(client: GraphQLClient) -> None:
    execution = await client.process.start()
    await client.process.do(step(execution.id, "book"))
    await client.process.ask(execution.id)
    first = await client.ask(AT, id=str(execution.id), version=1)
    assert (first["executionId"], first["version"]) == (str(execution.id), 1)
    assert (first["approvals"], nodes(first["steps"])) == ([], [])
    last = await client.ask(AT, id=str(execution.id), version=3)
    assert last["approvals"] == [{"key": "permit", "status": "PENDING"}]
    assert nodes(last["steps"]) == [{"key": "book"}]
    assert await client.ask(AT, id=str(execution.id), asOf=last["asOf"]) == last
    assert await client.ask(AT, id=str(execution.id), asOf="2000-01-01T00:00:00Z") is None
    for version in (0, -1, 4):
        assert await client.ask(AT, id=str(execution.id), version=version) is None


async def test_time_travel_takes_a_version_or_a_moment(client: GraphQLClient) -> None:
    execution = await client.process.start()
    both: dict[str, Any] = {"version": 1, "asOf": "2026-01-01T00:00:00Z"}
    assert await client.code(AT, id=str(execution.id), **both) == "BAD_REQUEST"
    assert await client.code(AT, id=str(execution.id)) == "BAD_REQUEST"
    assert await client.code(AT, id="nonsense") == "BAD_REQUEST"


async def test_events_are_shown_as_recorded(client: GraphQLClient) -> None:
    execution = await client.process.start(input={"days": 3})
    asked = await client.process.ask(execution.id)
    await client.process.do(grant(asked))
    found = await client.ask(EVENTS, AUDREY)
    events = nodes(found)
    assert [whole_server["cursor"] for whole_server in found["edges"]] == [
        e["position"] for e in events
    ]
    assert [e["type"] for e in events] == [
        "Started",
        "ApprovalRequested",
        "ApprovalGranted",
        "Resumed",
    ]
    assert events[0]["data"] == {
        "workflow": "travel",
        "workflowVersion": None,
        "queue": "default",
        "key": None,
        "parent": None,
        "onBehalfOf": None,
        "input": {"days": 3},
        "labels": [],
    }
    assert events[1]["data"]["policy"]["allowInitiator"] is False
    assert events[2]["data"]["resolves"] is True
    assert events[2]["actor"] == {"id": "ann"}
    hashes = ["0" * 64]
    for event in events:
        assert event["previousHash"] == hashes[-1]
        stored = b64decode(event["storedBytes"])
        hashes.append(hash_of(execution.id, event["version"], event["topic"], stored))
        assert event["hash"] == hashes[-1]


async def test_events_are_found_and_paged(client: GraphQLClient) -> None:
    one, two = await client.process.start(), await client.process.start()
    await client.process.do(step(two.id, "book"))
    page = await client.ask(EVENTS, AUDREY, first=2)
    assert page["pageInfo"]["hasNextPage"] is True
    rest = await client.ask(EVENTS, AUDREY, first=2, after=page["pageInfo"]["endCursor"])
    assert [e["type"] for e in nodes(rest)] == ["StepCompleted"]
    assert rest["pageInfo"]["hasNextPage"] is False
    assert rest["pageInfo"]["hasPreviousPage"] is True
    for wanted, expected in (
        ({"executionId": str(one.id)}, 1),
        ({"executionId": "nonsense"}, 0),
        ({"types": ["Started", "Nonsense"]}, 2),
        ({"actor": ["engine"]}, 1),
        ({"actor": ["en\x00gine", "\ud800"]}, 0),
        ({"types": []}, 0),
        ({"since": "2000-01-01T00:00:00Z"}, 3),
        ({"until": "2000-01-01T00:00:00Z"}, 0),
        (dict.fromkeys(["executionId", "types", "actor", "since", "until"]), 3),
    ):
        assert len(nodes(await client.ask(EVENTS, AUDREY, filter=wanted))) == expected, wanted


async def test_events_that_the_caller_may_not_see_are_left_out(client: GraphQLClient) -> None:
    execution = await client.process.start()
    await client.process.ask(execution.id)
    assert len(nodes(await client.ask(EVENTS, ENGINE))) == 2
    for by in (OTHER_ENGINE, ANN, NOBODY):
        assert nodes(await client.ask(EVENTS, by)) == []


@pytest.mark.parametrize("first", [-1, 501])
async def test_a_page_beyond_its_limit_is_refused(client: GraphQLClient, first: int) -> None:
    execution = await client.process.start()
    assert await client.code(EVENTS, first=first) == "LIMIT_EXCEEDED"
    assert await client.code(EXECUTIONS, first=first) == "LIMIT_EXCEEDED"
    assert await client.code(PARTS, id=str(execution.id), first=first) == "LIMIT_EXCEEDED"


@pytest.mark.parametrize("cursor", ["x", "", "-1", "٣", "1.5", str(2**63), "9" * 5000])
async def test_an_invalid_cursor_is_a_bad_request(client: GraphQLClient, cursor: str) -> None:
    execution = await client.process.start()
    assert await client.code(EVENTS, after=cursor) == "BAD_REQUEST"
    assert await client.code(EXECUTIONS, atLeast=cursor) == "BAD_REQUEST"
    assert await client.code(PARTS, id=str(execution.id), after=cursor) == "BAD_REQUEST"


async def test_an_empty_page_can_be_requested(client: GraphQLClient) -> None:
    await client.process.start()
    page = await client.ask(EVENTS, first=0)
    assert page["edges"] == []
    assert page["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }


async def test_the_parts_of_an_execution_are_paged_in_order(client: GraphQLClient) -> None:
    execution = await client.process.start()
    for key in ("a", "b", "c"):
        await client.process.do(step(execution.id, key, result=key))
        await client.process.ask(execution.id, key=key)
    first = await client.ask(PARTS, id=str(execution.id), first=2)
    assert [n["key"] for n in nodes(first["steps"])] == ["a", "b"]
    assert [n["key"] for n in nodes(first["approvals"])] == ["a", "b"]
    assert [n["version"] for n in nodes(first["events"])] == [1, 2]
    assert first["approvals"]["totalCount"] == 3
    assert number(first["approvals"]["position"]) == await client.services.reader.positions.last()
    assert all(first[part]["pageInfo"]["hasNextPage"] for part in first)
    rest = await client.ask(PARTS, id=str(execution.id), after="2")
    assert [n["key"] for n in nodes(rest["steps"])] == ["c"]
    assert [n["key"] for n in nodes(rest["approvals"])] == ["c"]
    assert [n["version"] for n in nodes(rest["events"])] == [3, 4, 5, 6, 7]
    assert not any(rest[part]["pageInfo"]["hasNextPage"] for part in rest)
    granted = await client.ask(PARTS, id=str(execution.id), status="GRANTED")
    assert (nodes(granted["approvals"]), granted["approvals"]["totalCount"]) == ([], 0)


async def test_listed_executions_have_their_steps_and_approvals_from_the_log(
    client: GraphQLClient,
) -> None:
    execution = await client.process.start()
    await client.process.do(step(execution.id, "book"))
    await client.process.ask(execution.id)
    position = str(await client.services.reader.positions.last())
    page = await client.ask(EXECUTIONS, atLeast=position)
    assert (page["totalCount"], number(page["position"])) == (1, int(position))
    assert nodes(page) == [
        {
            "id": str(execution.id),
            "version": 3,
            "state": "WAITING_APPROVAL",
            "steps": {"edges": [{"node": {"key": "book"}}]},
            "approvals": {"edges": [{"node": {"key": "permit"}}], "totalCount": 1},
        }
    ]
    assert nodes(await client.ask(EXECUTIONS, ANN, atLeast=position)) == []


async def test_the_execution_of_a_listed_approval_is_current(client: GraphQLClient) -> None:
    execution = await client.process.start()
    asked = await client.process.ask(execution.id)
    await client.process.do(grant(asked))
    done = await client.process.do(complete(execution.id))
    page = await client.ask(APPROVALS, atLeast=str(done.position))
    expected = {"id": str(asked.id), "status": "GRANTED", "execution": {"state": "COMPLETED"}}
    assert nodes(page) == [expected]
    assert page["totalCount"] == 1
    pending = {"status": ["PENDING"], "executionId": "nonsense"}
    assert nodes(await client.ask(APPROVALS, filter=pending)) == []
    [approvers] = nodes(await client.ask(APPROVALS, ANN))
    assert approvers["execution"] is None
