"""A grant that changes the payload, through the API."""

from typing import Any

from domain.serialization.canonical_json import canonical, digest
from domain.values import Principal
from tests.api.documents import GRANT
from tests.api.graphql_client import GraphQLClient
from tests.api.schema.test_commands import request, start
from tests.domain.people import ANN, BOB, ENGINE, OLIVIA, approver

CARL = approver("carl", "finance")
AMENDED = {"cost": 90, "class": "second"}
PATCH = [{"op": "add", "path": "/class", "value": "second"}]
FIELDS = """payload payloadDigest digest document policy { amendable }
    amendments { by { id } at patch payloadDigest }
    decisions { by { id } digest counts }"""
APPROVAL = f"query ($id: ID!) {{ approval(id: $id) {{ {FIELDS} viewerMayDecide {{ allowed }} }} }}"
AT = f"""query ($id: ID!, $version: Int!) {{
    executionAt(id: $id, version: $version) {{ approvals {{ {FIELDS} }} }}
}}"""
APPROVALS = f"""query ($text: String!, $at: String) {{
    approvals(filter: {{text: $text}}, atLeast: $at) {{ edges {{ node {{ {FIELDS} }} }} }}
}}"""
EXECUTIONS = """query ($text: String!, $at: String) {
    executions(filter: {text: $text}, atLeast: $at) { edges { node { id } } }
}"""
REDEEM = """mutation ($input: RedemptionInput!) { redeemApproval(input: $input) {
    __typename ... on Refused { code }
} }"""


async def asked(client: GraphQLClient) -> tuple[str, str]:
    execution = (await start(client))["execution"]["id"]
    policy = {"requirements": [{"groups": ["finance"], "count": 2}], "amendable": True}
    found = await request(client, execution, policy=policy, payload={"cost": 90})
    return execution, found["approval"]["id"]


async def grant(client: GraphQLClient, by: Principal, **fields: Any) -> Any:
    return await client.ask(GRANT, by, input=fields)


async def test_an_amended_document_is_shown_by_whom_and_how(client: GraphQLClient) -> None:
    execution, id_ = await asked(client)
    before = await client.ask(APPROVAL, ANN, id=id_)
    seen = {"approvalId": id_, "digest": before["digest"]}
    assert (before["policy"], before["amendments"]) == ({"amendable": True}, [])
    assert before["document"]["policy"]["amendable"] is True

    assert (await grant(client, ANN, **seen))["__typename"] == "Accepted"
    first = await grant(client, BOB, **seen, amendedPayload=AMENDED)
    again = await grant(client, BOB, **seen, amendedPayload=AMENDED)
    other = await grant(client, BOB, **seen, amendedPayload={"cost": 1})
    late = await grant(client, CARL, **seen)

    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["position"] == again["position"]
    assert (other["code"], late["code"]) == ("ALREADY_DECIDED", "DIGEST_MISMATCH")
    after = await client.ask(APPROVAL, ANN, id=id_)
    assert (after["payload"], after["document"]["payload"]) == (AMENDED, AMENDED)
    assert after["payloadDigest"] == digest(canonical(AMENDED))
    assert after["digest"] == digest(canonical(after["document"]))
    [amendment] = after["amendments"]
    assert (amendment["by"]["id"], amendment["patch"]) == ("bob", PATCH)
    assert amendment["payloadDigest"] == after["payloadDigest"]
    assert [(d["by"]["id"], d["digest"], d["counts"]) for d in after["decisions"]] == [
        ("ann", before["digest"], False),
        ("bob", after["digest"], True),
    ]
    assert after["viewerMayDecide"] == {"allowed": True}

    then = await client.ask(AT, OLIVIA, id=execution, version=3)
    [earlier] = then["approvals"]
    assert earlier == {name: value for name, value in before.items() if name in earlier} | {
        "decisions": [{"by": {"id": "ann"}, "digest": before["digest"], "counts": True}]
    }


async def test_the_read_models_have_the_amended_payload(client: GraphQLClient) -> None:
    execution, id_ = await asked(client)
    shown = await client.ask(APPROVAL, ANN, id=id_)
    found = await grant(
        client, ANN, approvalId=id_, digest=shown["digest"], amendedPayload={"cost": "quicksilver"}
    )

    asked_for = {"text": "quicksilver", "at": found["position"]}
    [edge] = (await client.ask(APPROVALS, BOB, **asked_for))["edges"]
    current = await client.ask(APPROVAL, ANN, id=id_)
    assert edge["node"] == {name: current[name] for name in edge["node"]}
    executions = await client.ask(EXECUTIONS, OLIVIA, **asked_for)
    assert [each["node"]["id"] for each in executions["edges"]] == [execution]


async def test_only_what_was_granted_finally_is_redeemed(client: GraphQLClient) -> None:
    execution = (await start(client))["execution"]["id"]
    policy = {"requirements": [{"groups": ["finance"]}], "amendable": True}
    id_ = (await request(client, execution, policy=policy))["approval"]["id"]
    before = await client.ask(APPROVAL, ANN, id=id_)
    await grant(client, ANN, approvalId=id_, digest=before["digest"], amendedPayload=AMENDED)

    fields = {"approvalId": id_, "redemptionKey": "k"}
    wrong = fields | {"payloadDigest": before["payloadDigest"]}
    right = fields | {"payloadDigest": digest(canonical(AMENDED))}
    assert (await client.ask(REDEEM, ENGINE, input=wrong))["code"] == "DIGEST_MISMATCH"
    assert (await client.ask(REDEEM, ENGINE, input=right))["__typename"] == "Accepted"


async def test_a_policy_that_says_nothing_allows_no_amendment(client: GraphQLClient) -> None:
    execution = (await start(client))["execution"]["id"]
    id_ = (await request(client, execution))["approval"]["id"]
    shown = await client.ask(APPROVAL, ANN, id=id_)
    assert "amendable" not in shown["document"]["policy"]

    found = await grant(client, ANN, approvalId=id_, digest=shown["digest"], amendedPayload=AMENDED)
    assert found["code"] == "INVALID_INPUT"
    assert "not amendable" in found["message"]
