"""What people can do with an approval beside granting and rejecting, through the API."""

from typing import Any

from domain.values import Principal
from tests.api.documents import GRANT, REQUEST
from tests.api.graphql_client import GraphQLClient
from tests.api.schema.test_commands import digest_of, request, start
from tests.domain.people import ANN, AUDREY, BOB, CLEO, ENGINE, approver

RESULT = (
    "{ __typename ... on Accepted { repeated } ... on Refused { code message }"
    " approval { id status } }"
)
APPROVAL = """query ($id: ID!) { approval(id: $id) {
    status resolution round validUntil commentCount claimedBy { id } documentDiff
    previousRound { id round status }
    policy { validFor commentRequired requirements { count stage groups } }
    outstanding { count stage groups }
    decisions { verdict counts retractedAt comment by { id } }
    comments(first: 2) {
        totalCount pageInfo { hasNextPage endCursor } edges { node { text by { id } } }
    }
    viewerMayDecide { allowed reasons }
} }"""


def mutation(name: str, kind: str) -> str:
    return f"mutation ($input: {kind}!) {{ r: {name}(input: $input) {RESULT} }}"


async def send(client: GraphQLClient, name: str, kind: str, by: Principal, **fields: Any) -> Any:
    return await client.ask(mutation(name, kind), by, input=fields)


async def asked(client: GraphQLClient, **rest: Any) -> str:
    execution = (await start(client))["execution"]["id"]
    found: str = (await request(client, execution, **rest))["approval"]["id"]
    return found


async def shown(client: GraphQLClient, id_: str, by: Principal = ANN) -> Any:
    return await client.ask(APPROVAL, by, id=id_)


async def test_changes_are_requested_and_the_next_round_knows_the_last(
    client: GraphQLClient,
) -> None:
    execution = (await start(client))["execution"]["id"]
    first = (await request(client, execution))["approval"]["id"]
    digest = await digest_of(client, first)
    said = {"approvalId": first, "digest": digest, "comment": "cheaper, please", "key": "c1"}

    found = await send(client, "requestChanges", "ChangesInput", ANN, **said)
    again = await send(client, "requestChanges", "ChangesInput", ANN, **said)
    assert (found["repeated"], again["repeated"]) == (False, True)
    assert found["approval"]["status"] == "CHANGES_REQUESTED"

    second = (await request(client, execution, payload={"cost": 0.5}))["approval"]["id"]
    assert second != first
    repeat = await request(client, execution)
    assert (repeat["repeated"], repeat["approval"]["id"]) == (True, first)
    approval = await shown(client, second)
    assert (approval["round"], approval["previousRound"]["id"]) == (2, first)
    assert approval["previousRound"]["status"] == "CHANGES_REQUESTED"
    assert {"op": "replace", "path": "/payload/cost", "value": 0.5} in approval["documentDiff"]
    assert (await shown(client, first))["documentDiff"] is None


async def test_long_lists_of_two_rounds_are_not_compared_item_by_item(
    client: GraphQLClient,
) -> None:
    execution = (await start(client))["execution"]["id"]
    lines = [[number] for number in range(20_000)]
    first = (await request(client, execution, payload=lines))["approval"]["id"]
    said = {"approvalId": first, "digest": await digest_of(client, first), "comment": "reversed"}
    await send(client, "requestChanges", "ChangesInput", ANN, **said)

    second = (await request(client, execution, payload=lines[::-1]))["approval"]["id"]
    # Item by item this would take seconds, in which the server does nothing else.
    changes = (await shown(client, second))["documentDiff"]
    assert [each["path"] for each in changes] == ["/round", "/payload"]


async def test_a_decision_is_taken_back_and_made_anew(client: GraphQLClient) -> None:
    policy = {"requirements": [{"groups": ["finance"], "count": 2}]}
    id_ = await asked(client, policy=policy)
    grant = {"approvalId": id_, "digest": await digest_of(client, id_), "key": "call-1"}
    await client.ask(GRANT, ANN, input=grant)

    found = await send(client, "retractDecision", "RetractionInput", ANN, approvalId=id_)
    late = await client.ask(GRANT, ANN, input=grant)
    anew = await client.ask(GRANT, ANN, input=grant | {"key": "call-2"})

    assert (found["repeated"], late["repeated"], anew["repeated"]) == (False, True, False)
    first, second = (await shown(client, id_))["decisions"]
    assert (first["counts"], second["counts"]) == (False, True)
    assert first["retractedAt"] is not None
    nothing = await send(client, "retractDecision", "RetractionInput", BOB, approvalId=id_)
    assert nothing["code"] == "INVALID_TRANSITION"


async def test_a_grant_is_revoked_before_it_is_redeemed(client: GraphQLClient) -> None:
    id_ = await asked(client)
    digest = await digest_of(client, id_)
    await client.ask(GRANT, ANN, input={"approvalId": id_, "digest": digest})
    reason = {"approvalId": id_, "reason": "the trip is off"}

    other = await send(client, "revokeApproval", "RevocationInput", BOB, **reason)
    engine = await send(client, "revokeApproval", "RevocationInput", ENGINE, **reason)
    found = await send(client, "revokeApproval", "RevocationInput", ANN, **reason)

    assert (other["code"], engine["code"]) == ("NOT_ELIGIBLE", "FORBIDDEN")
    assert found["approval"]["status"] == "REVOKED"
    assert (await shown(client, id_))["resolution"] == "REVOCATION"
    redemption = {"approvalId": id_, "payloadDigest": "sha256:x", "redemptionKey": "k"}
    redeemed = await send(client, "redeemApproval", "RedemptionInput", ENGINE, **redemption)
    assert redeemed["code"] == "INVALID_TRANSITION"


async def test_stages_are_asked_one_after_the_other(client: GraphQLClient) -> None:
    policy = {"requirements": [{"groups": ["finance"]}, {"groups": ["legal"], "stage": 2}]}
    id_ = await asked(client, policy=policy)
    mine = (
        "query ($at: String) { approvals(filter: {decidableByViewer: true}, atLeast: $at) {"
        " edges { node { id } } } }"
    )

    async def pending(by: Principal) -> list[str]:
        at = str(await client.services.reader.positions.last())
        return [edge["node"]["id"] for edge in (await client.ask(mine, by, at=at))["edges"]]

    assert (await pending(ANN), await pending(CLEO)) == ([id_], [])
    early = (await shown(client, id_, CLEO))["viewerMayDecide"]
    assert early == {
        "allowed": False,
        "reasons": [
            "this person is asked in stage 2, and stage 1 is not complete yet; groups held: legal"
        ],
    }
    grant = {"approvalId": id_, "digest": await digest_of(client, id_)}
    assert (await client.ask(GRANT, CLEO, input=grant))["code"] == "NOT_ELIGIBLE"
    await client.ask(GRANT, ANN, input=grant)
    assert (await pending(ANN), await pending(CLEO)) == ([], [id_])
    assert (await shown(client, id_))["outstanding"] == [
        {"count": 1, "stage": 2, "groups": ["legal"]}
    ]


async def test_comments_are_read_in_pages(client: GraphQLClient) -> None:
    id_ = await asked(client)
    for by, text in ((ANN, "by train?"), (ENGINE, "no line"), (AUDREY, "noted")):
        found = await send(
            client, "commentApproval", "CommentInput", by, approvalId=id_, text=text, key=text
        )
        assert found["repeated"] is False
    reused = {"approvalId": id_, "text": "other", "key": "by train?"}
    assert (await send(client, "commentApproval", "CommentInput", ANN, **reused))[
        "code"
    ] == "KEY_REUSED"

    approval = await shown(client, id_)
    page = approval["comments"]
    assert (approval["commentCount"], page["totalCount"]) == (3, 3)
    assert [(e["node"]["text"], e["node"]["by"]["id"]) for e in page["edges"]] == [
        ("by train?", "ann"),
        ("no line", "engine"),
    ]
    rest = await client.ask(
        "query ($id: ID!, $after: String) { approval(id: $id) {"
        " comments(after: $after) { edges { node { text } } } } }",
        ANN,
        id=id_,
        after=page["pageInfo"]["endCursor"],
    )
    assert [e["node"]["text"] for e in rest["comments"]["edges"]] == ["noted"]


async def test_a_claim_is_seen_by_others(client: GraphQLClient) -> None:
    id_ = await asked(client)
    claim = f"mutation ($id: ID!) {{ r: claimApproval(approvalId: $id) {RESULT} }}"

    unclaim = claim.replace("claim", "unclaim", 1)
    assert (await client.ask(claim, ANN, id=id_))["repeated"] is False
    assert (await shown(client, id_, BOB))["claimedBy"] == {"id": "ann"}
    assert (await client.ask(unclaim, ANN, id=id_))["repeated"] is False
    assert (await shown(client, id_, BOB))["claimedBy"] is None
    malformed = await client.ask(claim, ANN, id="nonsense")
    assert (malformed["code"], "nonsense" in malformed["message"]) == ("NOT_FOUND", True)


async def test_a_policy_may_ask_for_a_comment_and_an_end(client: GraphQLClient) -> None:
    policy = {
        "requirements": [{"groups": ["finance"]}],
        "commentRequired": True,
        "validFor": "PT1H",
    }
    id_ = await asked(client, policy=policy)
    approval = await shown(client, id_)
    assert approval["policy"]["validFor"] == "PT3600S"
    grant = {"approvalId": id_, "digest": await digest_of(client, id_)}

    refused = await client.ask(GRANT, ANN, input=grant)
    assert (refused["code"], "comment" in refused["message"]) == ("INVALID_INPUT", True)
    await client.ask(GRANT, ANN, input=grant | {"comment": "fine"})
    assert (await shown(client, id_))["validUntil"] is not None


async def test_a_policy_that_nobody_can_meet_is_refused(client: GraphQLClient) -> None:
    execution = (await start(client))["execution"]["id"]
    for policy, word in (
        ({"requirements": [{"users": ["ann"], "count": 3}]}, "different users"),
        ({"requirements": [{"users": ["ann"]}], "rejections": 2}, "rejections"),
        ({"requirements": [{"groups": ["a"]}, {"groups": ["b"], "stage": 3}]}, "stage"),
    ):
        found = await client.ask(
            REQUEST,
            ENGINE,
            input={
                "executionId": execution,
                "key": "k",
                "title": "t",
                "payload": 1,
                "policy": policy,
            },
        )
        assert (found["code"], word in found["message"]) == ("INVALID_INPUT", True)


async def test_a_delegate_sees_the_approval_and_decides_in_the_place_of_another(
    client: GraphQLClient,
) -> None:
    id_ = await asked(client)
    dora = approver("dora")
    mine = (
        "query ($at: String) { approvals(filter: {decidableByViewer: true}, atLeast: $at) {"
        " edges { node { id } } } }"
    )

    async def pending(by: Principal) -> list[str]:
        at = str(await client.services.reader.positions.last())
        return [edge["node"]["id"] for edge in (await client.ask(mine, by, at=at))["edges"]]

    assert await shown(client, id_, dora) is None
    handed = {"approvalId": id_, "to": "dora", "comment": "I am away"}
    found = await send(client, "delegateApproval", "DelegationInput", ANN, **handed)
    assert found["repeated"] is False
    assert (await pending(ANN), await pending(dora)) == ([], [id_])
    document = "query ($id: ID!) { approval(id: $id) { delegations { from { id } to { id } } } }"
    assert (await client.ask(document, dora, id=id_))["delegations"] == [
        {"from": {"id": "ann"}, "to": {"id": "dora"}}
    ]

    back = await send(client, "takeBackDelegation", "TakeBackInput", ANN, approvalId=id_)
    assert back["repeated"] is False
    assert (await pending(ANN), await pending(dora)) == ([id_], [])
