"""Webhooks through the API: an ADMIN makes, rotates and deletes them, and nobody else sees them."""

from typing import Any

from api.channels.webhooks.administration import WebhookAdministration
from tests.api.graphql_client import GraphQLClient
from tests.domain.people import ADAM, EVERYBODY

SHOWN = """
id name url types workflows groups includePayload createdBy rotatedAt rotatedBy previousSecretUntil
disabledAt disabledReason
"""
RESULT = f"webhook {{ {SHOWN} }} secret code message"
CREATE = f"mutation ($input: WebhookInput!) {{ createWebhook(input: $input) {{ {RESULT} }} }}"
ROTATE = f"""mutation ($id: ID!, $overlap: Duration) {{
    rotateWebhookSecret(id: $id, overlap: $overlap) {{ {RESULT} }}
}}"""
DELETE = f"mutation ($id: ID!) {{ deleteWebhook(id: $id) {{ {RESULT} }} }}"
LIST = f"{{ webhooks {{ {SHOWN} }} }}"
INPUT = {"name": "erp", "url": "https://erp.example/placet", "groups": ["finance"]}


async def create(client: GraphQLClient, by: Any = ADAM, **rest: Any) -> Any:
    return await client.ask(CREATE, by, input={**INPUT, **rest})


async def test_a_secret_is_shown_once_and_can_be_rotated(client: GraphQLClient) -> None:
    made = await create(client)
    assert made["code"] is None
    assert made["secret"].startswith("whsec_")
    webhook = made["webhook"]
    assert (webhook["groups"], webhook["types"], webhook["createdBy"]) == (["finance"], [], "adam")
    assert webhook["includePayload"] is False
    rotated = await client.ask(ROTATE, ADAM, id=webhook["id"])
    assert rotated["secret"] not in {made["secret"], None}
    assert rotated["webhook"]["previousSecretUntil"] is not None
    at_once = await client.ask(ROTATE, ADAM, id=webhook["id"], overlap="PT0S")
    assert at_once["webhook"]["previousSecretUntil"] is None
    assert await client.ask(LIST, ADAM) == [at_once["webhook"]]
    deleted = await client.ask(DELETE, ADAM, id=webhook["id"])
    assert (deleted["webhook"]["id"], deleted["secret"]) == (webhook["id"], None)
    assert await client.ask(LIST, ADAM) == []


async def test_only_an_admin_sees_or_changes_them(client: GraphQLClient) -> None:
    id_ = (await create(client))["webhook"]["id"]
    for somebody in EVERYBODY:
        if somebody is ADAM:
            continue
        refusals = [
            await create(client, somebody, name="mine"),
            await client.ask(ROTATE, somebody, id=id_),
            await client.ask(DELETE, somebody, id=id_),
        ]
        assert {each["code"] for each in refusals} == {"FORBIDDEN"}
        assert {(each["webhook"], each["secret"]) for each in refusals} == {(None, None)}
        assert await client.code(LIST, somebody) == "FORBIDDEN"
    assert [each["name"] for each in await client.ask(LIST, ADAM)] == ["erp"]


async def test_what_is_wrong_is_said(client: GraphQLClient) -> None:
    await create(client)
    for wrong, says in (
        ({}, "there is a webhook named 'erp' already"),
        ({"name": " "}, "name"),
        ({"url": "http://erp.example/"}, "must begin with https://"),
        ({"url": "https://169.254.169.254/latest"}, "link-local"),
        ({"types": ["granted"]}, "there is no type 'granted'"),
    ):
        refused = await create(client, **{"name": "other", **wrong, **({} if wrong else INPUT)})
        assert refused["code"] == "INVALID_INPUT"
        assert says in refused["message"]
    for id_ in ("nonsense", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"):
        assert (await client.ask(ROTATE, ADAM, id=id_))["code"] == "NOT_FOUND"
        assert (await client.ask(DELETE, ADAM, id=id_))["code"] == "NOT_FOUND"
    [webhook] = await client.ask(LIST, ADAM)
    refused = await client.ask(ROTATE, ADAM, id=webhook["id"], overlap="P31D")
    assert refused["code"] == "INVALID_INPUT"
    assert "0 to 30 days" in refused["message"]


def test_nothing_but_the_administration_is_handed_to_resolvers() -> None:
    assert not hasattr(WebhookAdministration, "signing")
