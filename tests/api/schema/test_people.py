"""The people of the directory through the API, and who of them could decide an approval."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from application.directory import KnownPerson
from domain.directory.commands import SetSubstitute
from domain.directory.state import PersonSource
from domain.values import Principal, Role
from projections.querying.keyset_pages import BadCursorError
from tests.api.graphql_client import GraphQLClient
from tests.api.schema.test_commands import digest_of, start
from tests.application.server_process import accepted
from tests.domain.people import ADAM, ANN, AUDREY, BOB, CLEO, ENGINE, NOBODY, OLIVIA

PERSON = "id name email emails groups roles active source lastSeenAt"
PEOPLE = f"""query ($group: String, $text: String, $first: Int, $after: String) {{
    people(group: $group, text: $text, first: $first, after: $after) {{
        edges {{ cursor node {{ {PERSON} }} }}
        pageInfo {{ hasNextPage hasPreviousPage endCursor }} totalCount
    }}
}}"""
ELIGIBLE = """query ($id: ID!, $first: Int, $after: String) {
    approval(id: $id) { eligiblePeople(first: $first, after: $after) {
        edges { node { id } } pageInfo { hasNextPage endCursor } totalCount
    } }
}"""
REQUEST = """mutation ($input: RequestApprovalInput!) { requestApproval(input: $input) {
    __typename ... on Accepted { warnings approval { id } } ... on Refused { code message }
} }"""
GRANT = """mutation ($input: DecisionInput!) {
    grantApproval(input: $input) { __typename ... on Accepted { warnings } }
}"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"


async def know(client: GraphQLClient, *people: Principal, **fields: Any) -> None:
    for person in people:
        known = {
            "id": person.id,
            "name": person.name,
            "groups": person.groups,
            "roles": person.roles,
            "source": PersonSource.ADMIN,
            **fields,
        }
        accepted(await client.services.directory.record(ADAM, KnownPerson(**known)))


def needs(count: int = 1, stage: int = 1, **whom: Any) -> dict[str, Any]:
    return {"count": count, "stage": stage, "groups": [], "users": [], **whom}


async def ask(client: GraphQLClient, *requirements: Any, by: Principal = ENGINE) -> Any:
    """Ask for an approval that olivia has started an execution for."""
    execution = (await start(client))["execution"]["id"]
    given = {"key": "permit", "title": "Trip", "payload": {"cost": 1}, "executionId": execution}
    policy = {"requirements": list(requirements)}
    return await client.ask(REQUEST, by, input={**given, "policy": policy})


async def eligible(client: GraphQLClient, asked: Any, **rest: Any) -> list[str]:
    found = await client.ask(ELIGIBLE, OLIVIA, id=asked["approval"]["id"], **rest)
    edges = found["eligiblePeople"]["edges"]
    return [edge["node"]["id"] for edge in edges]


async def test_people_are_listed_page_by_page(client: GraphQLClient) -> None:
    await know(client, ANN, emails=("ann@example.org", "a@example.org"))
    await know(client, BOB, CLEO)

    page = await client.ask(PEOPLE, AUDREY, first=2)
    ann = page["edges"][0]["node"]
    assert ann == {
        "id": "ann",
        "name": "Ann",
        "email": "ann@example.org",
        "emails": ["ann@example.org", "a@example.org"],
        "groups": ["finance", "managers"],
        "roles": ["APPROVER"],
        "active": True,
        "source": "ADMIN",
        "lastSeenAt": None,
    }
    assert page["pageInfo"]["hasNextPage"]
    assert page["totalCount"] == 3
    rest = await client.ask(PEOPLE, AUDREY, first=2, after=page["pageInfo"]["endCursor"])
    assert [edge["node"]["id"] for edge in rest["edges"]] == ["cleo"]
    found = await client.ask(PEOPLE, ANN, group="finance", text="BO")
    assert [edge["node"]["id"] for edge in found["edges"]] == ["bob"]


async def test_machines_and_strangers_do_not_see_people(client: GraphQLClient) -> None:
    await know(client, ANN)
    for viewer in (ENGINE, NOBODY):
        assert await client.code(PEOPLE, viewer) == "FORBIDDEN"
        assert await client.ask(NODE, viewer, id="ann") is None
    assert await client.ask(NODE, BOB, id="ann") == {"__typename": "Person", "id": "ann"}
    [error] = (await client.answer(AUDREY, PEOPLE, after="nonsense")).errors or []
    assert isinstance(error.original_error, BadCursorError)


async def test_eligible_are_those_whose_decision_would_count_now(client: GraphQLClient) -> None:
    boss = Principal(id="boss", name="Boss", roles=frozenset({Role.APPROVER}))
    machine = Principal(
        id="robot",
        name="Robot",
        roles=frozenset({Role.APPROVER, Role.ENGINE}),
        groups=frozenset({"finance"}),
    )
    starter = Principal(
        id="Olivia", name="O", roles=frozenset({Role.APPROVER}), groups=frozenset({"finance"})
    )
    await know(client, ANN, BOB, CLEO, boss, machine, AUDREY)
    await know(client, starter, name=None)
    asked = await ask(
        client, needs(groups=["finance"], users=["boss"]), needs(groups=["legal"], stage=2)
    )

    # Not the machine, nor who started it, in whatever spelling, nor those of the next stage.
    assert await eligible(client, asked) == ["ann", "bob", "boss"]
    assert await eligible(client, asked, first=1) == ["ann"]
    accepted(await client.services.directory.deactivate(ADAM, "bob"))
    assert await eligible(client, asked) == ["ann", "boss"]
    digest = await digest_of(client, asked["approval"]["id"])
    given = {"approvalId": asked["approval"]["id"], "digest": digest}
    assert (await client.ask(GRANT, ANN, input=given))["__typename"] == "Accepted"
    assert await eligible(client, asked) == ["cleo"]
    assert (await client.ask(GRANT, CLEO, input=given))["__typename"] == "Accepted"
    assert await eligible(client, asked) == []


async def test_a_substitute_is_eligible_while_the_absence_lasts(client: GraphQLClient) -> None:
    stand_in = Principal(id="stan", name="Stan", roles=frozenset({Role.APPROVER}))
    await know(client, ANN, stand_in)
    asked = await ask(client, needs(groups=["finance"]))
    assert await eligible(client, asked) == ["ann"]

    until = datetime.now(UTC) + timedelta(days=1)
    command = SetSubstitute(by=ANN, person="ann", substitute="stan", ends_at=until)
    accepted(await client.services.directory.send(command))
    assert await eligible(client, asked) == ["ann", "stan"]


async def test_too_few_known_people_are_said_with_the_answer(client: GraphQLClient) -> None:
    assert (await ask(client, needs(2, groups=["finance"])))["warnings"] == []
    client.services.eligible_people._anybody_until = 0
    await know(client, ANN, CLEO)

    [said] = (await ask(client, needs(2, groups=["finance"])))["warnings"]
    assert said == "requirement 1 needs 2 of the group finance; the directory knows 1"
    [said] = (await ask(client, needs(users=["ann"]), needs(groups=["finance"])))["warnings"]
    assert said == "all requirements together need 2 people; the directory knows 1"
    [said] = (await ask(client, needs(groups=["gardeners"], users=["tom"], stage=1)))["warnings"]
    assert said.startswith("requirement 1 needs 1 of the group gardeners or tom")
    await know(client, BOB)
    enough = await ask(client, needs(2, groups=["finance"]), needs(groups=["legal"], stage=2))
    assert enough["warnings"] == []


@pytest.mark.unsound
async def test_an_answer_comes_also_if_the_directory_can_not_be_read(
    client: GraphQLClient, log_url: str
) -> None:
    with psycopg.connect(log_url) as connection:
        connection.execute("ALTER TABLE people RENAME TO hidden")
        connection.commit()
        try:
            asked = await ask(client, needs(groups=["finance"]))
        finally:
            connection.execute("ALTER TABLE hidden RENAME TO people")
    assert (asked["__typename"], asked["warnings"]) == ("Accepted", [])
