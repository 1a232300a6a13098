"""A row of the read model that somebody has changed takes no grant by what it shows."""

from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from domain.approvals.document import document_digest
from domain.approvals.state import Approval
from domain.serialization.canonical_json import canonical, digest
from domain.serialization.state_codec import decode_state, encode_state
from tests.api.graphql_client import GraphQLClient
from tests.domain.people import ANN

PAGE = """query ($atLeast: String) { approvals(atLeast: $atLeast) { edges { node {
    id payload payloadDigest document digest title viewerMayDecide { allowed reasons } } } } }"""
GRANT = """mutation ($input: DecisionInput!) { grantApproval(input: $input) {
    __typename ... on Refused { code } approval { status payload } } }"""


async def asked(client: GraphQLClient, **rest: Any) -> Approval:
    execution = await client.process.start()
    approval = await client.process.ask(execution.id, payload={"euros": 1000}, **rest)
    await shown(client, str(await client.services.reader.positions.last()))
    return approval


async def shown(client: GraphQLClient, at_least: str | None = None) -> Any:
    page = await client.ask(PAGE, ANN, atLeast=at_least)
    [edge] = page["edges"]
    return edge["node"]


def alter(url: str, **fields: Any) -> None:
    """Change fields of the only approval in the read model, and leave its digests as they are."""
    with psycopg.connect(url) as connection:
        [(body,)] = connection.execute("SELECT body FROM approvals").fetchall()
        state = decode_state(body)
        changed = replace(state.approvals[1], **fields)
        state = replace(state, approvals=state.approvals.insert(1, changed))
        connection.execute("UPDATE approvals SET body = %s", [encode_state(state)])


async def test_the_digests_of_a_page_are_those_of_what_it_shows(client: GraphQLClient) -> None:
    approval = await asked(client)
    node = await shown(client)
    assert (node["digest"], node["payloadDigest"]) == (approval.digest, approval.payload_digest)
    assert node["digest"] == document_digest(node["document"], canonical(node["payload"]))
    assert node["viewerMayDecide"] == {"allowed": True, "reasons": []}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"payload": {"euros": 1}}, id="the payload"),
        pytest.param({"title": "Pay one euro"}, id="the title"),
        pytest.param({"description": "Nothing much"}, id="the description"),
        pytest.param({"round": 2}, id="the round"),
    ],
)
async def test_a_grant_of_a_changed_document_is_refused(
    client: GraphQLClient, fields: dict[str, Any]
) -> None:
    approval = await asked(client)
    alter(client.process.url, **fields)

    node = await shown(client)
    assert node["digest"] == document_digest(node["document"], canonical(node["payload"]))
    assert node["digest"] != approval.digest
    assert node["payloadDigest"] == digest(canonical(node["payload"]))
    assert not node["viewerMayDecide"]["allowed"]
    assert "the row was changed" in node["viewerMayDecide"]["reasons"][0]
    taken = await client.ask(GRANT, ANN, input={"approvalId": node["id"], "digest": node["digest"]})
    assert (taken["__typename"], taken["code"]) == ("Refused", "DIGEST_MISMATCH")
    assert taken["approval"] == {"status": "PENDING", "payload": {"euros": 1000}}


async def test_a_digest_that_was_changed_too_is_refused(client: GraphQLClient) -> None:
    approval = await asked(client)
    forged = {"euros": 1}
    alter(
        client.process.url,
        payload=forged,
        payload_digest=digest(canonical(forged)),
        digest="sha256:" + "0" * 64,
    )
    node = await shown(client)
    assert node["digest"] not in {approval.digest, "sha256:" + "0" * 64}
    taken = await client.ask(GRANT, ANN, input={"approvalId": node["id"], "digest": node["digest"]})
    assert taken["code"] == "DIGEST_MISMATCH"


async def test_a_payload_without_canonical_json_is_shown_with_a_digest_of_no_request(
    client: GraphQLClient,
) -> None:
    approval = await asked(client)
    alter(client.process.url, payload={"euros": 2**60})
    node = await shown(client)
    assert node["payload"] == {"euros": 2**60}
    assert node["digest"] != approval.digest
    assert not node["viewerMayDecide"]["allowed"]


async def test_the_approval_by_its_id_is_not_that_of_the_row(client: GraphQLClient) -> None:
    approval = await asked(client)
    alter(client.process.url, payload={"euros": 1})
    by_id = "query ($id: ID!) { approval(id: $id) { payload digest } }"
    assert await client.ask(by_id, ANN, id=str(approval.id)) == {
        "payload": {"euros": 1000},
        "digest": approval.digest,
    }
