"""An auditor tries a policy on the past."""

from typing import Any

from tests.api.documents import GRANT
from tests.api.graphql_client import GraphQLClient
from tests.api.schema.test_commands import FINANCE, digest_of, request, start
from tests.domain.people import ANN, AUDREY, OLIVIA

SIMULATE = """query ($policy: ApprovalPolicyInput!, $key: String, $since: DateTime) {
    simulatePolicy(workflow: "travel", policy: $policy, key: $key, since: $since) {
        examined different changes { statusThen statusWith reason approval { id } }
} }"""


async def granted(client: GraphQLClient, key: str = "permit") -> str:
    execution = (await start(client))["execution"]["id"]
    id_: str = (await request(client, execution, key=key))["approval"]["id"]
    await client.ask(GRANT, ANN, input={"approvalId": id_, "digest": await digest_of(client, id_)})
    return id_


async def simulated(client: GraphQLClient, policy: Any, **rest: Any) -> Any:
    at = str(await client.services.reader.positions.last())
    await client.ask(
        "query ($at: String) { approvals(atLeast: $at, first: 1) { position } }", AUDREY, at=at
    )
    return await client.ask(SIMULATE, AUDREY, policy=policy, **rest)


async def test_the_policy_in_force_makes_no_difference_and_a_stricter_one_does(
    client: GraphQLClient,
) -> None:
    first, second = await granted(client), await granted(client, "visa")
    pending = (await start(client))["execution"]["id"]
    await request(client, pending)

    same = await simulated(client, FINANCE)
    assert same == {"examined": 2, "different": 0, "changes": []}
    two = {"requirements": [{"groups": ["finance"], "count": 2}]}
    found = await simulated(client, two)
    assert (found["examined"], found["different"]) == (2, 2)
    assert [change["approval"]["id"] for change in found["changes"]] == [second, first]
    assert {(c["statusThen"], c["statusWith"]) for c in found["changes"]} == {
        ("GRANTED", "PENDING")
    }
    only = await simulated(client, two, key="visa")
    assert [change["approval"]["id"] for change in only["changes"]] == [second]


async def test_only_auditors_simulate_and_only_what_makes_sense(client: GraphQLClient) -> None:
    assert await client.code(SIMULATE, OLIVIA, policy=FINANCE) == "FORBIDDEN"
    nobody: dict[str, Any] = {"requirements": []}
    assert await client.code(SIMULATE, AUDREY, policy=nobody) == "BAD_REQUEST"
    long_ago = "2020-01-01T00:00:00Z"
    assert await client.code(SIMULATE, AUDREY, policy=FINANCE, since=long_ago) == "BAD_REQUEST"
