"""Whoever approves changes the payload, without a browser."""

import json
import re
from html import unescape
from typing import Any

import pytest

from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient

PAYLOAD = {"to": "ACME", "euros": 120, "lines": [{"sku": "a", "count": 2}], "urgent": False}
TWO = {"requirements": [{"groups": ["finance"], "count": 2}], "amendable": True}
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
FIELD = re.compile(r'<input id="[^"]*" name="(payload\.[^"]+)" value="([^"]*)"')
AREA = re.compile(r'<textarea id="[^"]*" name="(payload[^"]+)"[^>]*>\n([^<]*)</textarea>')


def fields_of(page: str) -> dict[str, Any]:
    """Return the fields of the form to decide, as a browser would send them."""
    form = page[page.index('id="decision-form"') :]
    found = dict(HIDDEN.findall(form)) | dict(FIELD.findall(form)) | dict(AREA.findall(form))
    return {unescape(name): unescape(value) for name, value in found.items()}


async def open_form(console: ConsoleClient, id_: str) -> dict[str, Any]:
    return fields_of((await console.get(f"/approvals/{id_}")).text)


async def shown_payload(server: WholeServer, id_: str) -> Any:
    query = "query ($id: ID!) { approval(id: $id) { payload decisions { counts } } }"
    answer = await server.post({"query": query, "variables": {"id": id_}}, "ann")
    return answer.json()["data"]["approval"]


async def test_the_change_is_shown_before_it_is_sent(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    asked = await ask(whole_server, payload=PAYLOAD, policy=TWO)
    address = f"/approvals/{asked['id']}"
    fields = await open_form(console, asked["id"])
    before = whole_server.recorded()

    typed: dict[str, Any] = {"payload.euros": "90", "payload.lines": "[]", "comment": "Less"}
    review = await console.post(f"{address}/grant", **fields | typed)
    assert review.status_code == 200
    assert whole_server.recorded() == before, "nothing is recorded yet"
    assert "Approve with this change?" in review.text
    for text in ("euros", "<del>", "120", "<ins>", "90"):
        assert text in review.text
    kept: dict[str, Any] = {unescape(n): unescape(v) for n, v in HIDDEN.findall(review.text)}
    assert json.loads(kept["amended"]) == PAYLOAD | {"euros": 90, "lines": []}

    again = await console.post(f"{address}/edit", **kept)
    assert fields_of(again.text)["payload.euros"] == "90", "more can be changed"
    sent = await console.post(f"{address}/amend", **kept)
    twice = await console.post(f"{address}/amend", **kept)
    assert (sent.status_code, twice.status_code) == (303, 303)
    assert whole_server.recorded() == before + 2
    assert (await shown_payload(whole_server, asked["id"]))["payload"]["euros"] == 90
    page = await console.read(address)
    assert "changed what will be done" in page
    assert "Less" in page


async def test_what_was_not_changed_is_granted_at_once(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    asked = await ask(whole_server, payload=PAYLOAD, policy=TWO)
    fields = await open_form(console, asked["id"])
    answer = await console.post(f"/approvals/{asked['id']}/grant", **fields)
    assert answer.status_code == 303
    assert (await shown_payload(whole_server, asked["id"]))["payload"] == PAYLOAD


async def test_nothing_is_changed_where_the_policy_does_not_allow_it(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    asked = await ask(whole_server, payload=PAYLOAD)
    fields = await open_form(console, asked["id"])
    assert not any(name.startswith("payload") for name in fields)
    forged = fields | {"amended": '{"euros": 1}'}
    answer = await console.post(f"/approvals/{asked['id']}/amend", **forged)
    assert answer.status_code == 422
    assert "not amendable" in answer.text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"payload.euros": "much"}, "“euros” must be a number"),
        ({"payload.lines": "["}, "“lines” can't be read"),
        ({"payload-json": '{"a": 1, "a": 2}'}, "twice"),
        ({"payload-json": '{"a": 1e999}'}, "not finite"),
        ({"payload-json": "null"}, "Nothing at all"),
    ],
)
async def test_what_cannot_be_read_is_said_and_kept(
    whole_server: WholeServer, console: ConsoleClient, typed: dict[str, str], said: str
) -> None:
    await console.sign_in("ann")
    asked = await ask(whole_server, payload=PAYLOAD, policy=TWO)
    fields = await open_form(console, asked["id"])
    answer = await console.post(f"/approvals/{asked['id']}/grant", **fields | typed)
    assert answer.status_code == 422
    assert said in unescape(answer.text)
    [(name, value)] = typed.items()
    assert fields_of(answer.text)[name] == value


async def test_what_was_amended_meanwhile_is_not_overwritten(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    asked = await ask(whole_server, payload=PAYLOAD, policy=TWO)
    fields = await open_form(console, asked["id"])
    mutation = "mutation ($input: DecisionInput!) { grantApproval(input: $input) { __typename } }"
    key = await whole_server.keys.create("cleo", roles=[Role.APPROVER], groups=["finance"])
    given = {"approvalId": asked["id"], "digest": asked["digest"], "amendedPayload": {"euros": 1}}
    amended = await whole_server.post({"query": mutation, "variables": {"input": given}}, key)
    assert amended.json()["data"]["grantApproval"]["__typename"] == "Accepted", amended.text

    # Not a number that could be part of a digest.
    typed = "500987654.25"
    answer = await console.post(
        f"/approvals/{asked['id']}/grant", **fields | {"payload.euros": typed}
    )
    assert answer.status_code == 409
    assert "not what you were shown" in answer.text
    assert fields_of(answer.text)["payload.euros"] == "1", "not what was typed for another payload"
    assert typed not in answer.text
