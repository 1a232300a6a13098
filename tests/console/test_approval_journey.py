"""An approval as three people live it: on a desktop, on a phone, and without JavaScript."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect

import placet
from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")
PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="session")
async def asking(server: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    """Asks under a workflow of the test's own."""
    async with Asking.on(server, request.node.name) as asking:
        yield asking


async def test_people_talk_claim_hand_over_decide_and_revoke(
    open_window: Open, asking: Asking
) -> None:
    stages = placet.require(2, group="finance").then(placet.require(1, group="legal"))
    policy = stages.expires(
        timedelta(hours=3), on_expiry="ESCALATE", escalate_to=["managers"]
    ).lapses(timedelta(days=2))
    approval = await asking.ask(
        "Buy the printing press", {"euros": 48_000, "from": "Heidel"}, policy=policy
    )
    address = f"/approvals/{approval.id}"
    desk, phone = await open_window("approver-a"), await open_window("approver-b", viewport=PHONE)
    await desk.go(address)
    await phone.go(address)
    at_desk, on_phone = desk.page, phone.page

    due = at_desk.locator("#part-status [data-due]")
    await expect(due).to_have_attribute("data-due", "soon")
    await expect(due).to_contain_text("due soon, in 3 hours")

    await on_phone.get_by_label("Write to the others").fill("Is the old one broken?")
    await at_desk.get_by_label("Write to the others").fill("I am still typ")
    await on_phone.get_by_role("button", name="Send", exact=True).click()
    await expect(at_desk.locator("#part-comments")).to_contain_text("Is the old one broken?")
    await expect(at_desk.get_by_label("Write to the others")).to_have_value("I am still typ")

    await at_desk.get_by_role("button", name="I am on it").click()
    await expect(on_phone.locator("#part-claim")).to_contain_text("approver-a is on it.")

    await on_phone.get_by_text("Hand my decision to somebody else").click()
    await on_phone.get_by_label("Who decides in my place").fill("approver-a")
    await on_phone.get_by_role("button", name="Hand over").click()
    await expect(at_desk.locator("#part-delegation")).to_contain_text(
        "approver-b handed the decision to approver-a"
    )
    back = on_phone.get_by_role("button", name="Take it back")
    await expect(back).to_be_visible()
    await phone.check("approval-handed-over")
    await back.click()
    await expect(on_phone.get_by_role("button", name="Approve", exact=True)).to_be_visible()

    await at_desk.get_by_role("button", name="Approve", exact=True).click()
    await on_phone.get_by_role("button", name="Approve", exact=True).click()
    await expect(at_desk.locator(".stage").nth(1)).to_contain_text("asked now")
    await desk.check("approval-stages")

    plain = await open_window("approver-c", java_script_enabled=False, locale="de-DE")
    await plain.go(address)
    await expect(plain.page.locator("#part-status [data-due]")).to_contain_text("bald fällig, in")
    await plain.page.get_by_label("An die anderen schreiben").fill("Der Vertrag ist in Ordnung.")
    await plain.page.get_by_role("button", name="Senden", exact=True).click()
    await plain.page.get_by_role("button", name="Freigeben", exact=True).click()
    await expect(at_desk.locator("#part-status")).to_contain_text("to be used until")

    await plain.page.locator("#reason").fill("Doch nicht")
    await plain.page.get_by_role("button", name="Freigabe widerrufen").click()
    await expect(plain.page.locator("#part-status")).to_contain_text("Widerrufen")
    await expect(at_desk.locator("#part-history")).to_contain_text("The approval was revoked")


async def test_a_deadline_counts_down_in_the_page_and_in_the_inbox(
    open_window: Open, asking: Asking
) -> None:
    # What is left is said in whole hours, so half an hour more or less changes nothing.
    near = placet.require(1, group="finance").expires(timedelta(hours=3))
    await asking.ask("Later", policy=placet.require(1, group="finance").expires(timedelta(days=3)))
    await asking.ask("Without an end")
    await asking.ask("Near", policy=near)
    window = await open_window("approver-b")
    page = window.page
    await page.clock.install()
    await window.go(f"/inbox?workflow={asking.workflow}")
    assert await page.locator(".row-title").all_inner_texts() == ["Near", "Later", "Without an end"]
    badge = page.locator(".row [data-due]").first
    await expect(badge).to_have_text(re.compile(r"^due soon, in 3 hours"))
    await expect(page.locator(".row [data-due]").nth(1)).to_have_text(re.compile("^due in 3 days"))
    await window.check("inbox-deadlines")
    await page.clock.fast_forward("01:00:00")
    await expect(badge).to_have_text(re.compile(r"^due soon, in 2 hours"))
    await page.clock.fast_forward("03:00:00")
    await expect(badge).to_have_text(re.compile(r"^overdue, 1 hour ago"))
    await expect(badge).to_have_class(re.compile(r"\bno\b"))
    exact = await badge.locator("time").get_attribute("title")
    assert exact
    assert exact in (await badge.locator("time .unseen").text_content() or "")
