from typing import Any

import pytest

from tests.api.graphql_client import GraphQLClient
from tests.domain.people import ENGINE, OLIVIA, OTHER_ENGINE

CLAIM = """mutation ($input: ClaimInput!) { claimExecutions(input: $input) {
    claims { execution { id state fence worker } fence leaseExpiresAt } } }"""
BEAT = """mutation ($worker: String!, $lease: Duration) {
    heartbeat(worker: $worker, lease: $lease) { worker leaseExpiresAt executions lost } }"""
RELEASE = """mutation ($worker: String!, $ids: [ID!]) {
    releaseExecutions(worker: $worker, executionIds: $ids) { released } }"""
RELEASE_AT = """mutation ($worker: String!, $releases: [ReleaseInput!]) {
    releaseExecutions(worker: $worker, releases: $releases) { released } }"""


async def test_a_worker_claims_sends_heartbeats_and_releases(client: GraphQLClient) -> None:
    execution = await client.process.start()
    [claim] = (await client.ask(CLAIM, ENGINE, input={"worker": "w"}))["claims"]
    assert claim["fence"] == claim["execution"]["fence"] == 1
    assert (claim["execution"]["id"], claim["execution"]["worker"]) == (str(execution.id), "w")
    beat = await client.ask(BEAT, ENGINE, worker="w")
    assert (beat["worker"], beat["executions"], beat["lost"]) == ("w", 1, [])
    assert await client.ask(RELEASE, ENGINE, worker="w", ids=["nonsense"]) == {"released": 0}
    assert await client.ask(RELEASE, ENGINE, worker="w") == {"released": 1}


async def test_a_release_names_the_claim_that_it_gives_back(client: GraphQLClient) -> None:
    execution = await client.process.start()

    async def released(given: dict[str, int | None]) -> int:
        release = {"executionId": str(execution.id), **given}
        answer = await client.ask(RELEASE_AT, ENGINE, worker="w", releases=[release])
        return int(answer["released"])

    right: list[dict[str, int | None]] = [{"fence": 1}, {"fence": None}, {}]
    for fence, given in enumerate(right, start=1):
        [claim] = (await client.ask(CLAIM, ENGINE, input={"worker": "w"}))["claims"]
        assert claim["fence"] == fence
        assert await released({"fence": fence - 1}) == 0
        assert await released(given) == 1


async def test_nulls_are_the_defaults(client: GraphQLClient) -> None:
    await client.process.start()
    nothing = {"worker": "w", "queues": None, "limit": None, "lease": None}
    assert len((await client.ask(CLAIM, ENGINE, input=nothing))["claims"]) == 1
    assert (await client.ask(BEAT, ENGINE, worker="w", lease=None))["executions"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 501},
        {"lease": "PT0.5S"},
        {"lease": "PT2H"},
        {"queues": []},
        {"worker": " "},
        {"worker": "w\x00"},
    ],
)
async def test_a_claim_out_of_bounds_is_a_bad_request(
    client: GraphQLClient, wrong: dict[str, Any]
) -> None:
    assert await client.code(CLAIM, ENGINE, input={"worker": "w", **wrong}) == "BAD_REQUEST"


async def test_a_worker_that_names_its_executions_may_poll_with_limit_0(
    client: GraphQLClient,
) -> None:
    await client.process.start()
    nothing = {"worker": "w", "limit": 0, "holding": []}
    assert (await client.ask(CLAIM, ENGINE, input=nothing))["claims"] == []
    assert await client.code(CLAIM, ENGINE, input={**nothing, "limit": -1}) == "BAD_REQUEST"


async def test_claims_require_the_role_and_the_queue(client: GraphQLClient) -> None:
    assert await client.code(CLAIM, OLIVIA, input={"worker": "w"}) == "FORBIDDEN"
    assert await client.code(CLAIM, OTHER_ENGINE, input={"worker": "w"}) == "FORBIDDEN"
    assert await client.code(BEAT, OLIVIA, worker="w") == "FORBIDDEN"
    assert await client.code(RELEASE, OLIVIA, worker="w") == "FORBIDDEN"
