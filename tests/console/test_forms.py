"""Forms on the page of an approval: filled in, or refused with a reason at each field, and kept."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import expect

from bench.stack import Stack
from tests.api.whole_server import WholeServer
from tests.console.asking import Asking, ask
from tests.console.conftest import Open
from tests.console.console_client import ConsoleClient
from tests.console.test_approval import decide

FORM: dict[str, Any] = {
    "type": "object",
    "title": "Review",
    "description": "What finance has to say.",
    "properties": {
        "risk": {"enum": ["low", "high"], "title": "Risk", "default": "low"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 500, "title": "Limit in euros"},
        "rate": {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]},
        "urgent": {"type": "boolean", "title": "Is it urgent?"},
        "mail": {"type": "string", "format": "email", "title": "Contact"},
        "due": {"type": ["string", "null"], "format": "date", "title": "Due"},
        "notes": {"type": "string", "format": "multiline", "title": "Notes"},
        "days": {"type": "array", "items": {"enum": ["mon", "tue"]}, "title": "Days"},
        "address": {"$ref": "#/$defs/address"},
        "extra": {"type": "object", "title": "Anything else"},
    },
    "required": ["risk", "limit"],
    "$defs": {
        "address": {
            "type": "object",
            "title": "Address",
            "properties": {"zip": {"type": "string", "pattern": "^[0-9]{4}$", "title": "Postcode"}},
            "required": ["zip"],
        }
    },
}
FILLED = {
    "answer/risk": "1",
    "answer/limit": "17",
    "answer/rate": "2,5",
    "answer/urgent": "no",
    "answer/mail": "ann@example.org",
    "answer/due": "2026-12-24",
    "answer/notes": "One\r\nTwo",
    "answer/days": "1",
    "answer/address/zip": "5611",
    "answer/extra": '{"a": [1]}',
}
ANSWERS = {
    "risk": "high",
    "limit": 17,
    "rate": 2.5,
    "urgent": False,
    "mail": "ann@example.org",
    "due": "2026-12-24",
    "notes": "One\nTwo",
    "days": ["tue"],
    "address": {"zip": "5611"},
    "extra": {"a": [1]},
}
RECORDED = "query ($id: ID!) { approval(id: $id) { status decisions { answers } } }"


async def recorded(server: WholeServer, approval: dict[str, str]) -> Any:
    answer = await server.post({"query": RECORDED, "variables": {"id": approval["id"]}})
    return answer.json()["data"]["approval"]["decisions"]


async def test_the_fields_of_a_form_become_its_answers(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server, form=FORM)
    page = (await console.get(f"/approvals/{approval['id']}")).text
    assert re.search(r'<option value="0" selected>low</option>', page), "the default is chosen"
    assert (await decide(console, approval["id"], "grant", **FILLED)).status_code == 303
    assert await recorded(whole_server, approval) == [{"answers": ANSWERS}]
    shown = await console.read(f"/approvals/{approval['id']}")
    assert "5611" in shown


async def test_what_is_left_empty_is_left_out(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server, form=FORM)
    given = dict.fromkeys(FILLED, "") | {"answer/risk": "0", "answer/limit": "1"}
    assert (await decide(console, approval["id"], "grant", **given)).status_code == 303
    assert await recorded(whole_server, approval) == [{"answers": {"risk": "low", "limit": 1}}]


async def test_wrong_answers_are_marked_and_kept(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server, form=FORM)
    wrong = {
        **FILLED,
        "answer/limit": "many",
        "answer/address/zip": "<x>",
        "answer/mail": "nobody",
        "comment": "As ever",
    }
    answer = await decide(console, approval["id"], "grant", **wrong)
    assert answer.status_code == 422
    for text in (
        "Some answers are missing or do not fit",
        "It must be a whole number.",
        "It must match the pattern ^[0-9]{4}$.",
        "It must be an e-mail address.",
        'value="many"',
        'value="&lt;x&gt;"',
        '<option value="1" selected>high</option>',
        "As ever</textarea>",
    ):
        assert text in answer.text
    for text, said in (("[", "This is no JSON"), ('"x"', "it must be an object")):
        answer = await decide(console, approval["id"], "grant", **FILLED | {"answer/extra": text})
        assert (answer.status_code, said in answer.text) == (422, True)
    assert await recorded(whole_server, approval) == []
    assert (await decide(console, approval["id"], "reject", comment="No")).status_code == 303


@pytest.mark.parametrize(
    "form",
    [
        {"type": "array", "items": {"type": "object"}},
        {"anyOf": [{"type": "array"}, {"type": "string"}]},
        {},
        {"properties": {"a": {"properties": {"b": {"properties": {"c": {"properties": {}}}}}}}},
    ],
)
async def test_a_form_that_the_page_has_no_fields_for_is_answered_as_json(
    whole_server: WholeServer, console: ConsoleClient, form: Any
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server, form=form)
    page = (await console.get(f"/approvals/{approval['id']}")).text
    assert 'name="answer"' in page
    answer = await decide(console, approval["id"], "grant", answer="[{}]")
    assert answer.status_code == 303
    assert await recorded(whole_server, approval) == [{"answers": [{}]}]


async def test_approvals_with_forms_are_left_out_when_several_are_granted(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    plain, asked = await ask(whole_server, "Plain"), await ask(whole_server, "Asked", form=FORM)
    marked = f"id={plain['id']}&id={asked['id']}"
    page = (await console.get(f"/decide?verdict=grant&{marked}")).text
    assert "1 has a form to fill in" in page
    assert f"{plain['id']} {plain['digest']}" in page
    assert f"{asked['id']} {asked['digest']}" not in page
    rejecting = (await console.get(f"/decide?verdict=reject&{marked}")).text
    assert f"{asked['id']} {asked['digest']}" in rejecting
    wish = f"{asked['id']} {asked['digest']}"
    sent = await console.send("/decide", verdict="grant", wish=wish)
    assert "answers must be given" in sent.text


@pytest.mark.asyncio(loop_scope="session")
async def test_a_person_fills_in_a_form_in_a_browser(server: Stack, open_window: Open) -> None:
    async with Asking.on(server, "forms-in-a-browser") as asking:
        approval = await asking.ask("Pay the band", form=FORM)
        window = await open_window("approver-a")
        await window.go(f"/approvals/{approval.id}")
        page = window.page
        await expect(page.get_by_role("group", name="Review")).to_contain_text("finance has to say")
        await window.check("form")
        await page.get_by_label("Risk").select_option("high")
        await page.get_by_label("Limit in euros").fill("17")
        await page.get_by_label("Postcode").fill("x")
        await page.get_by_label("tue").check()
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_label("Postcode")).to_have_attribute("aria-invalid", "true")
        await expect(page.get_by_label("Postcode")).to_have_value("x")
        await expect(page.get_by_label("tue")).to_be_checked()
        await window.check("form-wrong")
        await page.get_by_label("Postcode").fill("5611")
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("You approved this.")).to_be_visible()
        found = await asking.operator.approval(approval.id)
        assert found is not None
        assert found.decisions[0].answers == {
            "risk": "high",
            "limit": 17,
            "days": ["tue"],
            "address": {"zip": "5611"},
        }


@pytest.mark.asyncio(loop_scope="session")
async def test_a_form_works_without_javascript_on_a_phone(server: Stack, open_window: Open) -> None:
    async with Asking.on(server, "forms-without-javascript") as asking:
        approval = await asking.ask("Pay the band", form={**FORM, "required": ["limit"]})
        phone = {"width": 390, "height": 844}
        window = await open_window("approver-a", java_script_enabled=False, viewport=phone)
        await window.go(f"/approvals/{approval.id}")
        page = window.page
        await page.get_by_label("Limit in euros").fill("17")
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("You approved this.")).to_be_visible()
        found = await asking.operator.approval(approval.id)
        assert found is not None
        assert json.dumps(found.decisions[0].answers) == '{"risk": "low", "limit": 17}'
