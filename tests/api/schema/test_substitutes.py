"""Substitutes through the API: who names whom, who sees it, and what the substitute may do."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from application.directory import KnownPerson
from application.substitutes import Substitutes
from domain.directory.state import PersonSource
from domain.values import Principal, Role
from tests.api.graphql_client import GraphQLClient
from tests.api.schema.test_commands import digest_of, request, start
from tests.domain.people import ADAM, ANN, AUDREY, BOB, CLEO, ENGINE, OLIVIA, approver
from tests.support.patience import HANGS

DORA = approver("dora")
RESULT = """
substitute { person { id name } number substitute { id name } groups startsAt endsAt inForce
    comment setBy { id } }
code message warnings repeated position
"""
SET = f"""mutation ($input: SubstituteInput!) {{ setSubstitute(input: $input) {{ {RESULT} }} }}"""
END = f"""mutation ($number: Int!, $person: ID) {{
    endSubstitute(number: $number, person: $person, reason: "back early") {{ {RESULT} }}
}}"""
LIST = """query ($person: ID, $first: Int, $after: String) {
    substitutes(person: $person, first: $first, after: $after) {
        edges { cursor node { person { id } substitute { id } number inForce setBy { id } } }
        pageInfo { hasNextPage endCursor } totalCount
    }
}"""
GRANT = """mutation ($id: ID!, $digest: String!) {
    grantApproval(input: { approvalId: $id, digest: $digest }) {
        ... on Accepted { approval { status decisions {
            by { id } onBehalfOf { id } rule explanation asSubstitute } } }
        ... on Refused { code message }
    }
}"""
APPROVAL = "query ($id: ID!) { approval(id: $id) { viewerMayDecide { allowed reasons } } }"
INBOX = """query ($atLeast: String) {
    approvals(filter: { decidableByViewer: true }, atLeast: $atLeast) { edges { node { id } } }
}"""
ELIGIBLE = "query ($id: ID!) { approval(id: $id) { eligiblePeople { edges { node { id } } } } }"
SOON = timedelta(hours=1)


def at(moment: datetime) -> str:
    return moment.isoformat()


async def name(client: GraphQLClient, by: Principal = ANN, to: str = "dora", **rest: Any) -> Any:
    ends = at(datetime.now(UTC) + SOON)
    return await client.ask(SET, by, input={"substitute": to, "endsAt": ends, **rest})


async def now(client: GraphQLClient, principal: Principal) -> Principal:
    """The principal as a request of theirs would have it."""
    client.services.substitutes.forget()
    return await client.services.substitutes.of(principal)


async def pending(client: GraphQLClient) -> dict[str, str]:
    """Ask finance. Returns what a decision needs."""
    execution = (await start(client))["execution"]["id"]
    await request(client, execution)
    id_ = f"{execution}.1"
    return {"id": id_, "digest": await digest_of(client, id_)}


async def test_a_substitute_sees_and_decides_what_the_absent_person_could(log_url: str) -> None:
    async with GraphQLClient.open(log_url) as client:
        approval = await pending(client)
        assert await client.ask(APPROVAL, await now(client, DORA), id=approval["id"]) is None

        named = await name(client, comment="holidays")
        assert named["code"] is None
        assert named["substitute"] | {"startsAt": 0, "endsAt": 0} == {
            "person": {"id": "ann", "name": "Ann"},
            "number": 1,
            "substitute": {"id": "dora", "name": None},
            "groups": None,
            "startsAt": 0,
            "endsAt": 0,
            "inForce": True,
            "comment": "holidays",
            "setBy": {"id": "ann"},
        }
        assert named["warnings"] == [
            "dora is not known yet: check the id, or have them sign in once"
        ]
        dora = await now(client, DORA)
        shown = await client.ask(APPROVAL, dora, id=approval["id"])
        assert shown == {"viewerMayDecide": {"allowed": True, "reasons": []}}
        inbox = await client.ask(INBOX, dora, atLeast=named["position"])
        assert [edge["node"]["id"] for edge in inbox["edges"]] == [approval["id"]]

        granted = await client.ask(GRANT, dora, **approval)
        [decision] = granted["approval"]["decisions"]
        assert decision == {
            "by": {"id": "dora"},
            "onBehalfOf": {"id": "ann"},
            "rule": "group:finance",
            "explanation": "in the place of ann, as their substitute: ann is a member of finance, "
            "which the policy asks, in stage 1; groups held: finance, managers",
            "asSubstitute": True,
        }
        refused = await client.ask(GRANT, ANN, **approval)
        assert (refused["code"], refused["message"].split(" approval ")[0]) == (
            "ALREADY_DECIDED",
            "dora already decided",
        )


async def test_people_name_their_own_and_an_admin_those_of_others(log_url: str) -> None:
    async with GraphQLClient.open(log_url) as client:
        for by in (BOB, AUDREY, ENGINE):
            refused = await name(client, by, person="ann")
            assert (refused["code"], refused["message"]) == (
                "FORBIDDEN",
                "naming a substitute of somebody else needs the role ADMIN",
            )
        assert (await name(client, ADAM, person="ann"))["code"] == "NOT_FOUND"
        await known(client, "ann", groups=ANN.groups)
        await known(client, "dora", roles=frozenset({Role.AUDITOR}))

        named = await name(client, ADAM, person="ann")
        warned = await name(client, AUDREY, "dora")
        assert warned["warnings"][0].startswith("audrey has no role that allows deciding")

        assert named["substitute"]["setBy"] == {"id": "adam"}
        assert named["warnings"] == ["dora has no role that allows deciding"]
        again = await name(client, ADAM, person="ann", endsAt=named["substitute"]["endsAt"])
        assert (again["repeated"], again["substitute"]["number"]) == (True, 1)
        [refused] = [await client.ask(END, BOB, number=1, person="ann")]
        assert refused["code"] == "FORBIDDEN"
        assert (await now(client, DORA)).stands_in_for[0].id == "ann"
        ended = await client.ask(END, ANN, number=1)
        assert (ended["code"], ended["substitute"]["inForce"]) == (None, False)
        assert (await client.ask(END, ANN, number=1))["repeated"] is True
        assert (await client.ask(END, ANN, number=7))["code"] == "NOT_FOUND"
        assert (await now(client, DORA)).stands_in_for == ()


async def test_what_can_not_be_set(log_url: str) -> None:
    async with GraphQLClient.open(log_url) as client:
        moment = datetime.now(UTC)
        for given, saying in (
            ({"to": "Ann "}, "substitute must be somebody else"),
            ({"to": "placet"}, "reserved"),
            ({"to": "do\nra"}, "can't be printed"),
            ({"groups": []}, "groups must not be empty"),
            ({"endsAt": at(moment - SOON)}, "it must be after now"),
            ({"startsAt": at(moment + 2 * SOON)}, "after the beginning"),
            ({"endsAt": at(moment + timedelta(days=400))}, "at most 366 days"),
            ({"comment": "x" * 20_000}, "comment has 20000 characters"),
        ):
            refused = await name(client, ANN, **given)
            assert refused["code"] == "INVALID_INPUT", given
            assert saying in refused["message"], given
            assert refused["substitute"] is None


async def test_a_circle_at_one_time_is_refused(log_url: str) -> None:
    async with GraphQLClient.open(log_url) as client:
        assert (await name(client, ANN, "bob"))["code"] is None
        assert (await name(client, BOB, "cleo"))["code"] is None

        for by, to in ((BOB, "ann"), (CLEO, "ann"), (CLEO, "bob")):
            refused = await name(client, by, to)
            assert refused["code"] == "INVALID_INPUT"
            assert "nobody would be there to decide" in refused["message"]

        later = datetime.now(UTC) + 2 * SOON
        times = {"startsAt": at(later), "endsAt": at(later + SOON)}
        assert (await name(client, CLEO, "ann", **times))["code"] is None


async def test_each_person_lists_their_own_and_those_who_look_after_all(log_url: str) -> None:
    async with GraphQLClient.open(log_url) as client:
        await name(client, ANN, "dora")
        await name(client, ANN, "evan")
        await name(client, BOB, "dora")
        await name(client, CLEO, "bob", startsAt=at(datetime.now(UTC) + SOON / 2))

        async def listed(by: Principal, **wanted: Any) -> list[str]:
            page = await client.ask(LIST, by, **wanted)
            nodes = [edge["node"] for edge in page["edges"]]
            assert all(node["inForce"] == (node["person"]["id"] != "cleo") for node in nodes)
            assert page["totalCount"] >= len(nodes)
            return [f"{node['person']['id']}-{node['substitute']['id']}" for node in nodes]

        everything = ["ann-dora", "ann-evan", "bob-dora", "cleo-bob"]
        assert await listed(ADAM) == await listed(AUDREY) == everything
        assert await listed(AUDREY, person="bob") == await listed(BOB) == everything[2:]
        assert await listed(DORA) == ["ann-dora", "bob-dora"]
        assert await listed(ENGINE) == []
        assert await client.code(LIST, BOB, person="ann") == "FORBIDDEN"

        first = await client.ask(LIST, ADAM, first=3)
        assert (first["pageInfo"]["hasNextPage"], first["totalCount"]) == (True, 4)
        assert await listed(ADAM, after=first["pageInfo"]["endCursor"]) == everything[3:]
        assert await client.code(LIST, ADAM, after="x:ann") == "BAD_REQUEST"
        assert await listed(ADAM, person="\ud800") == []


async def test_a_substitute_for_some_groups_has_those_that_the_person_still_has(
    log_url: str,
) -> None:
    async with GraphQLClient.open(log_url) as client:
        await name(client, ANN, groups=["finance", "board"])

        [absence] = (await now(client, DORA)).stands_in_for
        assert (absence.groups, absence.only_groups) == (frozenset({"finance"}), True)

        await known(client, "ann", groups=frozenset({"board"}))
        [absence] = (await now(client, DORA)).stands_in_for
        assert absence.groups == frozenset({"board"})

        directory = client.services.directory
        await directory.deactivate(ADAM, "ann")
        assert (await now(client, DORA)).stands_in_for == ()

        # Another spelling may be the same person.
        await directory.reactivate(ADAM, "ann")
        assert [each.id for each in (await now(client, DORA)).stands_in_for] == ["ann"]
        await known(client, "ANN")
        await directory.deactivate(ADAM, "ANN")
        assert (await now(client, DORA)).stands_in_for == ()


async def test_who_could_not_decide_is_represented_by_nobody(log_url: str) -> None:
    async with GraphQLClient.open(log_url) as client:
        approval = await pending(client)
        await name(client)
        await known(client, "dora")
        for roles, represented in (
            (frozenset({Role.APPROVER, Role.AUDITOR}), True),
            # All keys were revoked, or the directory knows no role.
            (frozenset(), False),
            (frozenset({Role.AUDITOR}), False),
            (frozenset({Role.APPROVER, Role.ENGINE}), False),
        ):
            await known(client, "ann", groups=ANN.groups, roles=roles)
            dora = await now(client, DORA)
            assert [each.id for each in dora.stands_in_for] == ["ann"] * represented
            found = await client.ask(ELIGIBLE, OLIVIA, id=approval["id"])
            eligible = [edge["node"]["id"] for edge in found["eligiblePeople"]["edges"]]
            assert ("dora" in eligible) is represented


async def test_other_processes_know_it_within_about_a_second(log_url: str) -> None:
    async with GraphQLClient.open(log_url) as client:
        elsewhere = Substitutes(client.process.pool)
        assert await elsewhere.of(DORA) is DORA

        await name(client)

        async with asyncio.timeout(HANGS):
            while not (found := await elsewhere.of(DORA)).stands_in_for:
                await asyncio.sleep(0.02)
        assert found.stands_in_for[0].number == 1
        assert await elsewhere.of(BOB) is BOB


async def known(
    client: GraphQLClient,
    id_: str,
    *,
    groups: frozenset[str] = frozenset(),
    roles: frozenset[Role] = frozenset({Role.APPROVER}),
) -> None:
    person = KnownPerson(id=id_, groups=groups, roles=roles, source=PersonSource.ADMIN)
    outcome = await client.services.directory.record(ADAM, person)
    assert not isinstance(outcome, Exception)
