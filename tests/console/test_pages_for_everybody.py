"""Pages of those who run Placet: by the keyboard alone, without JavaScript, and at 200%."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import expect

from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open
from tests.console.window import SCHEMES, TOO_WIDE

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def asking(server: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    async with Asking.on(server, request.node.name) as asking:
        yield asking


async def test_the_overview_and_operations_show_what_waits(
    open_window: Open, asking: Asking
) -> None:
    asking.workflow = "purchase-order"
    await asking.ask("Order 40 lamps")
    window = await open_window("admin")
    page = window.page
    await window.go("/overview")
    await expect(page.get_by_role("heading", name="What waits now, and since when")).to_be_visible()
    parked = await asking.operator.start("forgotten-workflow")
    assert parked.execution is not None
    await asking.operator.park(parked.execution.id, "no route to the bank")
    # This list waits for the read model, which the page of operations never does.
    await window.go("/executions?parked=yes")
    await window.go("/operations")
    await expect(page.get_by_text("no route to the bank").first).to_be_visible()


async def test_a_key_is_made_rotated_and_revoked_with_the_keyboard_alone(
    open_window: Open,
) -> None:
    window = await open_window("admin")
    page = window.page

    async def press_on(role: str, name: str) -> None:
        """Go to an element with Tab, and press Enter or Space."""
        target = page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
        for _ in range(60):
            if await target.evaluate("one => one === document.activeElement"):
                break
            await page.keyboard.press("Tab")
        await expect(target).to_be_focused()
        await page.keyboard.press("Space" if role in {"checkbox", "radio"} else "Enter")

    await window.go("/operations/keys")
    await press_on("link", "Make a key")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Make an API key")
    await page.get_by_label("Name of the key").focus()
    await page.keyboard.type("night-shift")
    await press_on("checkbox", "auditor")
    await press_on("button", "Make the key")
    secret = page.get_by_label("Secret")
    await expect(secret).to_have_value(re.compile("^placet_"))
    await window.check("key-secret")
    first = await secret.input_value()
    await press_on("link", "I have copied it")
    await expect(page).to_have_url(re.compile("/operations/keys$"))
    await press_on("link", "night-shift")
    await expect(page.get_by_role("heading", level=1)).to_have_text("night-shift")
    await press_on("radio", "at once, because somebody else may have it")
    await press_on("button", "Rotate the key")
    await expect(page.get_by_text("The secret before it has ended")).to_be_visible()
    await expect(secret).to_have_value(re.compile("^placet_"))
    assert await secret.input_value() != first
    await window.go("/operations/keys/change?name=night-shift")
    await press_on("checkbox", "Yes, nobody needs night-shift any more")
    await press_on("button", "Revoke the key")
    await expect(page.locator("li", has_text="night-shift")).to_contain_text("Revoked")


async def test_a_substitute_is_named_and_ended_without_javascript(
    open_window: Open, asking: Asking
) -> None:
    window = await open_window("approver-a", java_script_enabled=False)
    page = window.page
    await window.go("/people")
    await page.get_by_role("link", name="Substitutes", exact=True).click()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    await page.get_by_label("ID of the substitute").fill("approver-c")
    await page.get_by_label("Last day").fill(tomorrow)
    await page.get_by_label("Why").fill("On holiday")
    await page.get_by_role("button", name="Save the substitute").click()
    await expect(page.get_by_text("approver-c decides for approver-a")).to_be_visible()

    watching = await open_window("admin")
    approval = await asking.ask("Chairs for the hall")
    await watching.go(f"/approvals/{approval.id}")
    await expect(watching.page.get_by_text("Who could decide now")).to_be_visible()

    await page.get_by_role("button", name="End: approver-c for approver-a").click()
    await expect(page.get_by_role("heading", name="There are no substitutes")).to_be_visible()


async def test_a_view_is_saved_and_deleted_without_javascript_on_a_phone(
    open_window: Open, asking: Asking
) -> None:
    await asking.ask_all("Lamps", "Chairs")
    window = await open_window(
        "approver-b", java_script_enabled=False, viewport={"width": 390, "height": 844}
    )
    page = window.page
    await window.go(f"/inbox?workflow={asking.workflow}&q=lamps")
    await page.get_by_text("Save this view…").click()
    await page.get_by_label("Name of the view").fill("Mine")
    await page.get_by_role("button", name="Save", exact=True).click()
    await window.go("/inbox")
    await page.get_by_role("link", name="Mine", exact=True).click()
    await expect(page.locator("#rows > .row")).to_have_count(1)
    await page.get_by_role("button", name="Delete the view").click()
    await expect(page).to_have_url(re.compile("/inbox$"))
    await expect(page.get_by_role("link", name="Mine", exact=True)).to_have_count(0)


async def test_every_page_is_whole_at_twice_the_size(open_window: Open, asking: Asking) -> None:
    approval = await asking.ask("Large letters", {"text": "a word " * 50})
    # A window of half the width has as much room as one at 200%.
    window = await open_window("admin", viewport={"width": 320, "height": 480})
    for address in (
        "/inbox/waiting",
        "/executions",
        f"/executions/{approval.execution_id}",
        f"/executions/{approval.execution_id}/at?version=1",
        "/people",
        "/people/groups",
        "/substitutes",
        "/overview",
        "/operations",
        "/operations/keys",
        "/operations/keys/new",
        "/operations/webhooks",
        "/operations/messages",
        "/preferences",
    ):
        await window.go(address)
        assert await window.page.evaluate(TOO_WIDE) <= 0, address


async def test_the_place_where_one_is_can_be_seen_on_a_phone(open_window: Open) -> None:
    window = await open_window("admin", viewport={"width": 390, "height": 844})
    page = window.page
    for address, name in (("/inbox", "Inbox"), ("/operations", "Operations"), ("/audit", "Audit")):
        await window.go(address)
        place = page.locator(".places [aria-current]")
        await expect(place).to_have_text(name)
        await expect(place).to_be_in_viewport(ratio=1)
        assert await page.evaluate("scrollY") == 0
    await expect(page.get_by_role("heading", level=1, name="Audit")).to_be_visible()
    # A phone that is turned is a window of another size.
    for width in (844, 390):
        await page.set_viewport_size({"width": width, "height": 500})
        await expect(page.locator(".places [aria-current]")).to_be_in_viewport(ratio=1)


async def test_graphiql_is_for_everybody_too(open_window: Open) -> None:
    window = await open_window("admin")
    await window.go("/graphql")
    await expect(window.page.get_by_text("as admin")).to_be_visible()
    await expect(window.page.locator(".graphiql-spinner")).to_have_count(0)
    await window.drawn()
    for scheme in SCHEMES:
        found = await window.violations(scheme)
        assert not found, f"{'; '.join(found)} (in {scheme})"
