"""Standing grants through the API: who creates, sees and revokes them, and what they decide."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.approvals.events import ApprovalGranted
from tests.api.graphql_client import GraphQLClient
from tests.api.schema.test_commands import request, start
from tests.domain.people import ADAM, ANN, AUDREY, BOB, ENGINE, OLIVIA

SHOWN = """
id by { id } workflow key payloadSchema maxUses uses expiresAt comment status createdAt revokedAt
usedFor(first: 1) {
    edges { cursor node { id status decisions { by { id } standingGrantId } } }
    pageInfo { hasNextPage endCursor } totalCount position
}
"""
RESULT = f"grant {{ {SHOWN} }} code message repeated position"
CREATE = f"""mutation ($input: StandingGrantInput!) {{
    createStandingGrant(input: $input) {{ {RESULT} }}
}}"""
REVOKE = f"""mutation ($id: ID!) {{
    revokeStandingGrant(id: $id, reason: "enough") {{ {RESULT} }}
}}"""
LIST = f"""query (
    $status: [StandingGrantStatus!], $owner: ID, $workflow: String, $first: Int, $after: String,
    $atLeast: String
) {{
    standingGrants(
        status: $status, by: $owner, workflow: $workflow, first: $first, after: $after,
        atLeast: $atLeast
    ) {{ edges {{ cursor node {{ {SHOWN} }} }} pageInfo {{ hasNextPage endCursor }} totalCount }}
}}"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
EVENTS = """query ($filter: EventFilter) {
    events(filter: $filter) { edges { node { executionId version type topic data actor { id } } } }
}"""


async def allow(client: GraphQLClient, by: Any = ANN, **rest: Any) -> Any:
    given = {
        "workflow": "travel",
        "payloadSchema": {"properties": {"cost": {"maximum": 500}}},
        "maxUses": 2,
        "expiresAt": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        "comment": "Cheap trips",
        **rest,
    }
    return await client.ask(CREATE, by, input=given)


async def names(client: GraphQLClient, viewer: Any, **conditions: Any) -> list[str]:
    position = (await allow(client, ADAM))["position"]
    assert position is None, "it is refused, so it has no position"
    end = str(await client.services.reader.positions.last())
    page = await client.ask(LIST, viewer, atLeast=end, **conditions)
    return [f"{e['node']['by']['id']} {e['node']['comment']}" for e in page["edges"]]


async def test_what_was_allowed_is_decided_and_both_name_each_other(client: GraphQLClient) -> None:
    created = await allow(client)
    grant = created["grant"]
    assert (created["code"], created["repeated"], grant["status"]) == (None, False, "ACTIVE")
    assert (grant["uses"], grant["usedFor"]["edges"]) == (0, [])
    asked = []
    for _ in range(2):
        execution = (await start(client))["execution"]["id"]
        asked.append((await request(client, execution))["approval"]["id"])
        await client.process.until(UUID(execution), ApprovalGranted)

    end = str(await client.services.reader.positions.last())
    [edge] = (await client.ask(LIST, ANN, atLeast=end))["edges"]
    used = edge["node"]["usedFor"]
    assert (edge["node"]["uses"], edge["node"]["status"]) == (2, "USED_UP")
    assert (used["totalCount"], used["pageInfo"]["hasNextPage"]) == (2, True)
    [latest] = used["edges"]
    assert latest["node"]["id"] == asked[1]
    [decision] = latest["node"]["decisions"]
    assert decision == {"by": {"id": "ann"}, "standingGrantId": grant["id"]}
    node = await client.ask(NODE, ANN, id=grant["id"])
    assert node == {"__typename": "StandingGrant", "id": grant["id"]}


async def test_a_refusal_is_data_and_a_repeat_says_so(client: GraphQLClient) -> None:
    refused = await allow(client, OLIVIA)
    assert (refused["grant"], refused["code"], refused["repeated"]) == (None, "FORBIDDEN", False)
    wrong = await allow(client, maxUses=0)
    assert (wrong["code"], "maxUses" in wrong["message"]) == ("INVALID_INPUT", True)
    at = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    first = await allow(client, idempotencyKey="once", expiresAt=at)
    again = await allow(client, idempotencyKey="once", expiresAt=at)
    assert again == {**first, "repeated": True}
    other = await allow(client, idempotencyKey="once", expiresAt=at, maxUses=9)
    assert (other["code"], other["grant"]["id"]) == ("KEY_REUSED", first["grant"]["id"])


async def test_each_sees_what_is_theirs_and_auditors_see_all(client: GraphQLClient) -> None:
    await allow(client, ANN, comment="trips")
    await allow(client, BOB, comment="books", workflow="shopping")

    assert await names(client, ANN) == ["ann trips"]
    assert await names(client, AUDREY) == ["bob books", "ann trips"]
    assert await names(client, ADAM, owner="ann") == ["ann trips"]
    assert await names(client, ADAM, workflow="shopping") == ["bob books"]
    assert await names(client, OLIVIA) == []
    assert await names(client, BOB, owner="ann") == []
    first = await client.ask(LIST, AUDREY, first=1)
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (2, True)
    rest = await client.ask(LIST, AUDREY, first=5, after=first["pageInfo"]["endCursor"])
    assert [edge["node"]["comment"] for edge in rest["edges"]] == ["trips"]


async def test_an_operator_revokes_what_only_its_owner_sees(client: GraphQLClient) -> None:
    id_ = (await allow(client))["grant"]["id"]
    for stranger in (BOB, ENGINE):
        assert (await client.ask(REVOKE, stranger, id=id_))["code"] == "NOT_FOUND"
    assert (await client.ask(REVOKE, AUDREY, id=id_))["code"] == "FORBIDDEN"
    assert (await client.ask(REVOKE, ADAM, id="no id"))["code"] == "NOT_FOUND"

    revoked = await client.ask(REVOKE, OLIVIA, id=id_)
    assert (revoked["code"], revoked["grant"]) == (None, None)
    again = await client.ask(REVOKE, ANN, id=id_)
    assert (again["repeated"], again["grant"]["status"]) == (True, "REVOKED")
    assert await names(client, ANN, status=["REVOKED"]) == ["ann Cheap trips"]
    assert await names(client, ANN, status=["ACTIVE", "EXPIRED", "USED_UP"]) == []


async def test_its_events_are_in_the_log_for_those_who_see_it(client: GraphQLClient) -> None:
    id_ = (await allow(client))["grant"]["id"]
    await start(client)

    for viewer in (AUDREY, ADAM):
        [edge] = (await client.ask(EVENTS, viewer, filter={"executionId": id_}))["edges"]
        event = edge["node"]
        assert (event["type"], event["topic"], event["executionId"]) == (
            "StandingGrantCreated",
            "standing-grant.created.v1",
            id_,
        )
        assert (event["data"]["maxUses"], event["actor"]["id"]) == (2, "ann")
        everything = await client.ask(EVENTS, viewer)
        assert {e["node"]["type"] for e in everything["edges"]} >= {"StandingGrantCreated"}
        named = {"types": ["StandingGrantCreated"]}
        assert len((await client.ask(EVENTS, viewer, filter=named))["edges"]) == 1
    for viewer in (OLIVIA, ENGINE):
        assert (await client.ask(EVENTS, viewer, filter={"executionId": id_}))["edges"] == []
        named = {"types": ["StandingGrantCreated"]}
        assert (await client.ask(EVENTS, viewer, filter=named))["edges"] == []
        everything = await client.ask(EVENTS, viewer)
        assert {e["node"]["type"] for e in everything["edges"]} == {"Started"}


async def test_it_is_no_execution(client: GraphQLClient) -> None:
    id_ = (await allow(client))["grant"]["id"]
    assert await client.ask("query ($id: ID!) { execution(id: $id) { id } }", ADAM, id=id_) is None
    cancel = """mutation ($id: ID!) { cancelExecution(input: {executionId: $id, reason: "x"}) {
        ... on Refused { code } } }"""
    assert (await client.ask(cancel, ADAM, id=id_))["code"] == "NOT_FOUND"
    taken = """mutation ($id: ID!) { startExecution(input: {id: $id, workflow: "travel"}) {
        ... on Refused { code message } } }"""
    assert (await client.ask(taken, OLIVIA, id=id_))["code"] == "INVALID_INPUT"
