"""Standing grants in the console: allowed in words, used, revoked, and by nobody else."""

import re
from typing import Any

import pytest
from playwright.async_api import expect

import placet
from api.console.views.allowed_payloads import in_words, like
from bench.stack import Stack
from domain.json_schemas import problem
from domain.mismatches import mismatch
from tests.api.whole_server import WholeServer
from tests.console.asking import Asking, ask
from tests.console.conftest import Open
from tests.console.console_client import ConsoleClient
from tests.sdk.people import until

ALLOWED = {
    "workflow": "payment",
    "key": "pay",
    "schema": '{"type": "object", "properties": {"euros": {"type": "number", "maximum": 100}}}',
    "uses": "3",
    "until": "2999-01-01",
    "comment": "Small sums",
    "form_key": "the page's",
}


async def days(console: ConsoleClient) -> str:
    """Return the last day that the form allows."""
    page = await console.read("/standing-grants/new")
    found = re.search(r'name="until"[^>]*max="([\d-]+)"', page)
    assert found is not None
    return found[1]


async def allowed(console: ConsoleClient, **more: str) -> str:
    """Allow something, and return the address of the standing grant."""
    fields = {**ALLOWED, "until": await days(console), "confirmed": "yes", **more}
    answer = await console.send("/standing-grants", **fields)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def until_granted(asking: Asking, approval: placet.Approval) -> None:
    async def granted() -> bool | None:
        found = await asking.operator.approval(approval.id)
        assert found is not None
        return found.status is placet.ApprovalStatus.GRANTED or None

    await until(granted)


@pytest.mark.asyncio(loop_scope="session")
async def test_what_comes_every_day_is_allowed_from_one_approval_and_then_revoked(
    open_window: Open, server: Stack
) -> None:
    async with Asking.on(server, "every-day") as asking:
        first = await asking.ask("Pay the baker", {"euros": 120, "to": "Bakery"})
        window = await open_window("approver-a")
        page = window.page
        await window.go(f"/approvals/{first.id}")
        await page.get_by_role("link", name="Allow the like in advance").click()
        await expect(page.get_by_label("Workflow")).to_have_value("every-day")
        await expect(page.get_by_label("Key of the approvals")).to_have_value("pay")
        await page.get_by_label("How often at most").fill("2")
        await page.get_by_label("Why").fill("The baker comes every day")
        await page.get_by_role("button", name="See what that allows").click()
        for said in (
            "approvals of the workflow every-day with the key pay,",
            "at most 2 times,",
            "euros: a number from 0 to 120",
            'to: exactly "Bakery"',
            "Nothing else may be in it.",
        ):
            await expect(page.get_by_role("listitem").filter(has_text=said)).to_be_visible()
        await window.check("allow-confirm")
        await page.get_by_role("button", name="Allow it").click()
        await expect(page.get_by_text("It was not used yet.")).to_be_visible()
        address = page.url

        second = await asking.ask("Pay the baker again", {"euros": 90, "to": "Bakery"})
        dear = await asking.ask("Pay the baker much", {"euros": 121, "to": "Bakery"})
        assert second.id != dear.id
        await until_granted(asking, second)
        await window.go(address)
        await page.get_by_role("link", name="Pay the baker again").click()
        await expect(page.get_by_text("approved in advance, by a standing grant")).to_be_visible()
        assert page.url.endswith(second.id)
        await window.go(f"/approvals/{dear.id}")
        await expect(page.get_by_role("button", name="Approve")).to_be_visible()

        await window.go("/standing-grants")
        await expect(page.get_by_text("used 1 of 2 times").first).to_be_visible()
        await window.go(address)
        await page.get_by_label("Why").fill("The baker retired")
        await page.get_by_role("button", name="Revoke").click()
        await expect(page.get_by_text("The baker retired")).to_be_visible()
        await expect(page.get_by_role("button", name="Revoke")).to_have_count(0)


async def test_nothing_is_allowed_before_it_was_confirmed(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    before = whole_server.recorded()
    fields = {**ALLOWED, "until": await days(console)}
    answer = await console.send("/standing-grants", **fields)
    assert answer.status_code == 200
    assert "euros: a number of at most 100, or not given" in answer.text
    assert "Anything else may be in it too." in answer.text
    assert whole_server.recorded() == before

    address = await allowed(console)
    assert await allowed(console) == address, "a second click finds the first"
    page = await console.read(address)
    assert "0 of 3 times" in page
    assert "Small sums" in page


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"schema": "{"}, "payloadSchema"),
        ({"schema": '{"type": "text"}'}, "payloadSchema.type"),
        ({"schema": " "}, "Say which payloads you allow"),
        ({"uses": "many"}, "must be a whole number"),
        ({"uses": "0"}, "maxUses"),
        ({"until": "tomorrow"}, "Say until which day"),
        ({"until": "2999-01-01", "confirmed": "yes"}, "90 days"),
        ({"until": "2001-01-01", "confirmed": "yes"}, "expiresAt"),
        ({"comment": ""}, "comment must not be empty"),
        ({"form_key": ""}, "This form is too old"),
    ],
)
async def test_what_is_wrong_is_named_and_what_was_typed_stays(
    whole_server: WholeServer, console: ConsoleClient, wrong: dict[str, str], said: str
) -> None:
    await console.sign_in("ann")
    before = whole_server.recorded()
    fields = {**ALLOWED, "until": await days(console), **wrong}
    answer = await console.send("/standing-grants", **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="payment"' in answer.text
    assert whole_server.recorded() == before


async def test_who_may_not_decide_neither_allows_nor_sees_what_others_allow(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    address = await allowed(console)
    assert 'href="/standing-grants"' in await console.read("/inbox")
    forged = await console.post(f"{address}/revoke", reason="no")
    assert forged.status_code == 403
    assert (await console.send("/standing-grants/nothing/revoke", reason="no")).status_code == 404
    before = whole_server.recorded()
    for person in ("olivia", "engine"):
        await console.send("/sign-out")
        await console.sign_in(person)
        assert (await console.get("/standing-grants")).status_code == 403, person
        assert (await console.get("/standing-grants/new")).status_code == 403, person
        assert (await console.get(address)).status_code == 404, person
        assert 'href="/standing-grants"' not in (await console.get("/executions")).text
        assert (await console.send(f"{address}/revoke", reason="no")).status_code == 404, person
        allows = await console.send("/standing-grants", **ALLOWED, confirmed="yes")
        assert allows.status_code == 403, person
    assert whole_server.recorded() == before


async def test_what_was_decided_in_advance_says_so(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    address = await allowed(console)
    asked = await ask(whole_server, payload={"euros": 7})

    async def decided() -> str | None:
        page = await console.read(f"/approvals/{asked['id']}")
        return page if "approved in advance, by a standing grant" in page else None

    page = await until(decided)
    assert f'href="{address}"' in page
    assert f'href="/approvals/{asked["id"]}"' in await console.read(address)
    await console.send("/sign-out")
    await console.sign_in("olivia")
    page = await console.read(f"/approvals/{asked['id']}")
    assert "approved in advance, by a standing grant" in page
    assert address not in page


async def test_texts_of_people_are_text(console: ConsoleClient) -> None:
    await console.sign_in("ann")
    name = "<b>pay</b>"
    schema = '{"const": "<i>x</i>"}'
    address = await allowed(console, workflow=name, comment=name, schema=schema)
    for page in (address, "/standing-grants"):
        text = (await console.get(page)).text
        assert "<b>" not in text
        assert "<i>" not in text
    assert (await console.send(f"{address}/revoke", reason=" ")).status_code == 422
    assert (await console.send(f"{address}/revoke", reason=name)).status_code == 303
    assert "&lt;b&gt;pay" in (await console.get(address)).text


PAYLOADS: list[Any] = [{"euros": 120, "to": "Bakery", "tags": ["a"], "off": -3, "x": None}, 5, {}]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_schema_made_from_a_payload_fits_it_and_is_said_in_words(payload: Any) -> None:
    schema = like(payload)
    assert problem(schema, "schema") is None
    assert mismatch(schema, payload, "payload") is None
    assert in_words(schema, lambda text, **values: text % values if values else text)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"pattern": "x"}}},
        {"type": "object", "properties": {"a": True}, "minProperties": 2},
        {"type": "object", "properties": {"a": True}, "required": ["b"]},
        {"properties": {"a": {"type": "number"}}},
        {
            "type": "object",
            "properties": {"a": {"type": "number"}},
            "additionalProperties": {"const": 1},
        },
        {"type": "object", "properties": {"a": {"type": ["number", "null"]}}},
        False,
    ],
)
def test_what_words_do_not_say_completely_is_not_said_in_words(schema: Any) -> None:
    assert in_words(schema, lambda text, **values: text % values if values else text) == []
