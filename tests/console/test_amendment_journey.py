"""Whoever approves changes the payload, in a browser: on a phone and without JavaScript."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

import placet
from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 390, "height": 844}
FORM = {
    "type": "object",
    "properties": {"centre": {"type": "string", "title": "Cost centre", "pattern": "^[0-9]{4}$"}},
    "required": ["centre"],
}
PAYLOAD = {"to": "ACME", "euros": 120, "lines": [{"sku": "a", "count": 2}], "urgent": False}


@pytest_asyncio.fixture(loop_scope="session")
async def asking(server: Stack) -> AsyncIterator[Asking]:
    async with Asking.on(server, "amending") as asking:
        yield asking


async def test_one_amends_on_a_phone_and_the_other_agrees_to_that(
    open_window: Open, asking: Asking
) -> None:
    policy = placet.require(2, group="finance", amendable=True)
    approval = await asking.ask("Buy lamps", PAYLOAD, policy=policy)
    address = f"/approvals/{approval.id}"
    async with placet.Client(asking.url, asking.tokens["approver-a"]) as first:
        await first.grant(approval)

    window = await open_window("approver-b", java_script_enabled=False, viewport=PHONE)
    page = window.page
    await window.go(address)
    await page.get_by_text("Change it before you approve").click()
    await page.get_by_label("euros").fill("90")
    await page.get_by_label("urgent").select_option("true")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Approve with this change?")
    await expect(page.get_by_role("row", name="euros")).to_contain_text("90")
    await expect(page.get_by_text("no longer count then")).to_contain_text("approver-a")
    await page.get_by_role("button", name="Approve with this change").click()
    await expect(page.get_by_text("You approved this.")).to_be_visible()

    other = await open_window("approver-a")
    await other.go(address)
    await expect(other.page.get_by_text("That no longer counts: decide again.")).to_be_visible()
    history = other.page.get_by_role("region", name="History")
    await expect(history).to_contain_text("changed what will be done")
    await expect(history.get_by_role("row", name="euros")).to_contain_text("120")
    await other.page.get_by_text("Change it before you approve").click()
    await other.check("amended")
    await other.page.get_by_label("euros").fill("95")
    await other.page.get_by_role("button", name="Approve", exact=True).click()
    await expect(other.page.get_by_role("heading", level=1)).to_have_text(
        "Approve with this change?"
    )
    await other.check("amend")
    await other.page.get_by_role("button", name="Change more").click()
    await expect(other.page.get_by_label("euros")).to_have_value("95")
    await other.page.get_by_label("euros").fill("90")
    await other.page.get_by_role("button", name="Approve", exact=True).click()
    await expect(other.page.get_by_text("You approved this.")).to_be_visible()
    await expect(other.page.get_by_text("The workflow goes on.")).to_be_visible()


async def test_one_amends_and_answers_a_form_and_the_other_answers_it_too(
    open_window: Open, asking: Asking
) -> None:
    policy = placet.require(2, group="finance", amendable=True)
    approval = await asking.ask("Buy chairs", PAYLOAD, policy=policy, form=FORM)
    address = f"/approvals/{approval.id}"

    window = await open_window("approver-a")
    page = window.page
    await window.go(address)
    await page.get_by_text("Change it before you approve").click()
    await page.get_by_label("euros").fill("90")
    await page.get_by_label("Cost centre").fill("x")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Approve with this change?")
    await page.get_by_role("button", name="Approve with this change").click()
    # What is wrong in the answers is said, and the change is kept.
    await expect(page.get_by_label("Cost centre")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_label("euros")).to_have_value("90")
    await page.get_by_label("Cost centre").fill("4711")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Approve with this change?")
    await window.check("amend-with-form")
    await page.get_by_role("button", name="Change more").click()
    await expect(page.get_by_label("Cost centre")).to_have_value("4711")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await page.get_by_role("button", name="Approve with this change").click()
    await expect(page.get_by_text("You approved this.")).to_be_visible()

    other = await open_window("approver-b", java_script_enabled=False, viewport=PHONE)
    await other.go(address)
    await expect(other.page.get_by_label("Cost centre")).to_have_value("")
    await other.page.get_by_label("Cost centre").fill("4712")
    await other.page.get_by_role("button", name="Approve", exact=True).click()
    await expect(other.page.get_by_text("You approved this.")).to_be_visible()

    found = await asking.operator.approval(approval.id)
    assert found is not None
    assert found.payload == {**PAYLOAD, "euros": 90}
    assert found.status is placet.ApprovalStatus.GRANTED
    assert [(each.answers, each.counts) for each in found.decisions] == [
        ({"centre": "4711"}, True),
        ({"centre": "4712"}, True),
    ]
