"""Forms of approvals and their answers, through the API."""

from typing import Any

import pytest

from tests.api.graphql_client import GraphQLClient
from tests.api.schema.test_commands import digest_of, request, start
from tests.api.schema.test_decisions import send
from tests.domain.people import ANN, AUDREY, ENGINE

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}, "notes": {"type": "string"}},
    "required": ["risk"],
}
APPROVAL = """query ($id: ID!) { approval(id: $id) {
    status form document decisions { answers } } }"""
EARLIER = """query ($id: ID!, $version: Int!) { executionAt(id: $id, version: $version) {
    approvals { form decisions { answers } } } }"""


async def grant(client: GraphQLClient, id_: str, **rest: Any) -> Any:
    digest = await digest_of(client, id_)
    return await send(
        client, "grantApproval", "DecisionInput", ANN, approvalId=id_, digest=digest, **rest
    )


async def test_an_approval_is_asked_with_a_form_and_granted_with_answers(
    client: GraphQLClient,
) -> None:
    execution = (await start(client))["execution"]["id"]
    asked = await request(client, execution, form=FORM)
    id_ = asked["approval"]["id"]

    for answers, said in (
        (None, "answers must be given"),
        ({}, "answers/risk is missing"),
        ({"risk": "none", "notes": 1}, "answers/risk must be one of low, high"),
    ):
        refused = await grant(client, id_, answers=answers)
        assert (refused["code"], said in refused["message"]) == ("INVALID_INPUT", True)
    answered = {"risk": "low", "notes": "as ever"}
    granted = await grant(client, id_, answers=answered)
    again = await grant(client, id_, answers=answered)
    other = await grant(client, id_, answers={"risk": "high"})

    assert (granted["repeated"], again["repeated"]) == (False, True)
    assert other["code"] == "ALREADY_DECIDED"
    shown = await client.ask(APPROVAL, ANN, id=id_)
    assert (shown["form"], shown["document"]["form"]) == (FORM, FORM)
    assert shown["decisions"] == [{"answers": answered}]
    for version, decisions in ((2, []), (3, [{"answers": answered}])):
        then = await client.ask(EARLIER, AUDREY, id=execution, version=version)
        [approval] = then["approvals"]
        assert approval == {"form": FORM, "decisions": decisions}


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("no schema", "form must be an object"),
        ({"type": "text"}, "form.type is not valid JSON Schema"),
        ({"$ref": "https://example.com/form"}, "form.$ref must be a reference within the schema"),
        ({"title": "x" * 70_000}, "form is 70012 bytes of JSON"),
    ],
)
async def test_what_is_no_form_is_refused(client: GraphQLClient, form: Any, said: str) -> None:
    execution = (await start(client))["execution"]["id"]

    found = await request(client, execution, ENGINE, form=form)

    assert (found["code"], said in found["message"]) == ("INVALID_INPUT", True)


async def test_answers_without_a_form_are_refused(client: GraphQLClient) -> None:
    execution = (await start(client))["execution"]["id"]
    id_ = (await request(client, execution))["approval"]["id"]

    found = await grant(client, id_, answers={})

    assert (found["code"], "has no form" in found["message"]) == ("INVALID_INPUT", True)
