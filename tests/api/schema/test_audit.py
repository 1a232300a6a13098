"""What auditors ask: who decided what, and what was pending at a moment."""

from typing import Any

from domain.identifiers import ApprovalId
from tests.api.graphql_client import GraphQLClient
from tests.api.schema.test_commands import request, start
from tests.api.schema.test_decisions import asked
from tests.application.server_process import grant
from tests.domain.people import ADAM, ANN, AUDREY, BOB, CLEO, ENGINE, NOBODY, OLIVIA

DECISIONS = """query ($filter: DecisionFilter, $first: Int, $after: String, $atLeast: String) {
    decisions(filter: $filter, first: $first, after: $after, atLeast: $atLeast) {
        edges { cursor node {
            approvalId executionId version workflow key round title verdict by { id name }
            onBehalfOf { id } groups rule stage comment askedAt decidedAt took counts retractedAt
            status revokedAt } }
        pageInfo { hasNextPage hasPreviousPage } totalCount position } }"""
AS_OF = """query ($filter: ApprovalFilter, $orderBy: ApprovalOrder, $asOf: DateTime,
               $atLeast: String) {
    approvals(filter: $filter, orderBy: $orderBy, asOf: $asOf, atLeast: $atLeast) {
        edges { node { id status outstanding { count groups } decisions { by { id } }
            viewerMayDecide { allowed reasons } execution { state } claimedBy { id } } }
        totalCount } }"""
EVENTS = """query ($filter: EventFilter) {
    events(filter: $filter) { edges { node { type executionId } } } }"""


async def _latest(client: GraphQLClient) -> str:
    return str(await client.process.reader.positions.last())


async def test_decisions_are_read_page_by_page_with_what_they_were_about(
    client: GraphQLClient,
) -> None:
    first, second = await asked(client), await asked(client)
    for id_, by in ((first, ANN), (second, BOB)):
        approval = await client.process.reader.execution(_execution(id_))
        assert approval is not None
        await client.process.do(grant(approval.approvals[1], by=by))
    at_least = await _latest(client)
    page = await client.ask(DECISIONS, AUDREY, first=1, atLeast=at_least)
    [bobs] = _nodes(page)
    assert (bobs["by"]["id"], bobs["approvalId"]) == ("bob", second)
    assert (bobs["verdict"], bobs["status"], bobs["rule"]) == (
        "GRANTED",
        "GRANTED",
        "group:finance",
    )
    assert (bobs["counts"], bobs["retractedAt"], bobs["revokedAt"]) == (True, None, None)
    assert bobs["took"].startswith("PT")
    assert page["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False}
    assert page["totalCount"] == 2
    rest = await client.ask(DECISIONS, AUDREY, first=1, after=page["edges"][0]["cursor"])
    assert [each["by"]["id"] for each in _nodes(rest)] == ["ann"]
    wanted = {"person": ["ann"], "group": ["managers", "finance"], "verdict": ["GRANTED"]}
    assert len(_nodes(await client.ask(DECISIONS, OLIVIA, filter=wanted))) == 1
    assert _nodes(await client.ask(DECISIONS, ADAM, filter={"executionId": "no id"})) == []


async def test_an_approver_reads_their_own_decisions_and_an_engine_none(
    client: GraphQLClient,
) -> None:
    id_ = await asked(client)
    execution = await client.process.reader.execution(_execution(id_))
    assert execution is not None
    await client.process.do(grant(execution.approvals[1], by=ANN))
    at_least = await _latest(client)
    for by, number in ((ANN, 1), (BOB, 0), (CLEO, 0)):
        assert len(_nodes(await client.ask(DECISIONS, by, atLeast=at_least))) == number
    for by in (ENGINE, NOBODY):
        result = await client.answer(by, DECISIONS)
        assert result.errors is not None
        assert "needs the role AUDITOR" in result.errors[0].message


async def test_what_was_pending_at_a_moment_is_as_it_was_then(client: GraphQLClient) -> None:
    id_ = await asked(client)
    await client.ask(
        "mutation ($id: ID!) { claimApproval(approvalId: $id) { __typename } }", ANN, id=id_
    )
    execution = await client.process.reader.execution(_execution(id_))
    assert execution is not None
    then = execution.updated_at.isoformat()
    await client.process.do(grant(execution.approvals[1], by=ANN))
    at_least = await _latest(client)
    [was] = _nodes(await client.ask(AS_OF, AUDREY, asOf=then, atLeast=at_least))
    assert (was["id"], was["status"], was["decisions"]) == (id_, "PENDING", [])
    assert was["outstanding"] == [{"count": 1, "groups": ["finance"]}]
    assert was["claimedBy"] == {"id": "ann"}
    assert was["execution"] == {"state": "RESUMED"}
    assert "as it was at a moment" in was["viewerMayDecide"]["reasons"][0]
    now = await client.ask(AS_OF, AUDREY, asOf="2100-01-01T00:00:00Z")
    assert (_nodes(now), now["totalCount"]) == ([], 0)
    before = await client.ask(AS_OF, ANN, asOf="2000-01-01T00:00:00Z")
    assert _nodes(before) == []
    [for_ann] = _nodes(await client.ask(AS_OF, ANN, asOf=then))
    assert for_ann["execution"] is None
    assert _nodes(await client.ask(AS_OF, CLEO, asOf=then)) == []


async def test_what_a_moment_does_not_go_with_is_refused(client: GraphQLClient) -> None:
    for more in ({"filter": {"decidableByViewer": True}}, {"orderBy": "DEADLINE_ASC"}):
        result = await client.answer(AUDREY, AS_OF, asOf="2026-01-01T00:00:00Z", **more)
        assert result.errors is not None
        assert "asOf" in result.errors[0].message


async def test_events_are_found_by_the_workflow(client: GraphQLClient) -> None:
    await start(client, workflow="trip")
    other = (await start(client, workflow="other"))["execution"]["id"]
    await request(client, other)
    found = _nodes(await client.ask(EVENTS, OLIVIA, filter={"workflow": ["other"]}))
    assert [each["type"] for each in found] == ["Started", "ApprovalRequested"]
    assert {each["executionId"] for each in found} == {other}


def _nodes(connection: Any) -> list[Any]:
    return [edge["node"] for edge in connection["edges"]]


def _execution(approval_id: str) -> Any:
    parsed = ApprovalId.parse(approval_id)
    assert parsed is not None
    return parsed.execution_id
