"""The inbox in a real browser: live, by pointer, by keyboard, on a phone and without JavaScript."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

import placet
from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Keeps what moves without somebody's doing (W3C, Layout Instability), from the first picture on.
OBSERVE_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput, sources } of list.getEntries()) {
    const moved = sources.map(({ node, previousRect: from, currentRect: to }) => {
      const what = (node?.outerHTML ?? node?.parentElement?.outerHTML ?? "gone").slice(0, 80);
      return `${what} ${JSON.stringify([from, to])}`;
    });
    if (!hadRecentInput) window.shifts.push(`${value}: ${moved.join("; ")}`);
  }
}).observe({ type: "layout-shift", buffered: true });
"""
# What changes shows in the next picture, and is reported after it.
SHIFTS = """
async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  for (let count = 0; count < 2; count += 1) await frame();
  await new Promise((done) => setTimeout(done));
  return window.shifts;
}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def asking(server: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    """Asks under a workflow of the test's own, which the search then finds alone."""
    async with Asking.on(server, request.node.name) as asking:
        yield asking


def inbox(asking: Asking, folder: str = "") -> str:
    return f"/inbox{folder}?workflow={asking.workflow}"


def rows(page: Page) -> Locator:
    return page.locator("#rows > .row:not(.gone)")


async def open_live(open_window: Open, asking: Asking, person: str, **options: object) -> Page:
    window = await open_window(person, **options)
    await window.go(inbox(asking))
    await expect_live(window.page)
    return window.page


async def expect_live(page: Page) -> None:
    await expect(page.locator("#live")).to_have_class(re.compile(r"\bon\b"))


async def expect_keys(page: Page) -> None:
    """Wait until the page takes keys: what it shows can be seen before its script has run."""
    await expect(page.locator("html[data-live]")).to_have_count(1)


async def test_a_new_request_appears_without_a_reload_and_the_count_agrees(
    open_window: Open, asking: Asking
) -> None:
    page = await open_live(open_window, asking, "approver-b")
    await expect(page.get_by_role("heading", name="Nothing waits for you")).not_to_be_visible()
    await expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    await asking.ask("The first")
    await expect(rows(page)).to_have_count(1)
    await expect(page.locator("#count")).to_have_text("1 approval")
    await expect(page.get_by_role("status")).to_have_text("New: The first")
    await asking.ask("The second")
    await expect(page.locator("#count")).to_have_text("2 approvals")
    assert await rows(page).locator(".row-title").all_inner_texts() == ["The first", "The second"]


async def test_what_is_under_the_pointer_stays_when_another_comes_or_goes(
    open_window: Open, asking: Asking
) -> None:
    first, _ = await asking.ask_all("Goes", "Stays")
    page = await open_live(open_window, asking, "approver-b")
    stays = page.locator(".row").nth(1)
    await stays.hover()
    before = await stays.bounding_box()
    await asking.ask("Comes")
    await expect(rows(page)).to_have_count(3)
    async with placet.Client(asking.url, asking.tokens["approver-a"]) as other:
        await other.grant(first)
    gone = page.locator(".row.gone")
    await expect(gone).to_contain_text("Approved")
    await expect(gone).to_contain_text("by approver-a")
    await expect(page.locator("#count")).to_have_text("2 approvals")
    assert await stays.bounding_box() == before
    await page.mouse.move(5, 5)
    await expect(gone).to_have_count(0)


async def test_a_more_urgent_one_moves_nothing_in_sight_until_it_is_shown(
    open_window: Open, asking: Asking
) -> None:
    await asking.ask("Has time")
    window = await open_window("approver-b")
    page = window.page
    await page.add_init_script(OBSERVE_SHIFTS)
    await window.go(inbox(asking))
    await expect_live(page)
    await asking.ask("Has time too")
    await expect(rows(page)).to_have_count(2)
    urgent = placet.require(1, group="finance").expires(within=timedelta(hours=1))
    await asking.ask("Urgent", policy=urgent)
    await expect(page.get_by_role("status")).to_have_text("New: Urgent")
    assert await page.evaluate(SHIFTS) == []
    await page.get_by_role("button", name="Show 1 new one").click()
    await expect(rows(page).first).to_contain_text("Urgent")
    await expect(page.locator("#count")).to_have_text("3 approvals")
    await expect(page.get_by_role("link", name="Urgent")).to_be_focused()


async def test_two_people_see_each_others_decisions(open_window: Open, asking: Asking) -> None:
    await asking.ask("Needs two", policy=placet.require(2, group="finance"))
    one = await open_live(open_window, asking, "approver-a")
    two = await open_live(open_window, asking, "approver-b")
    await two.get_by_role("link", name="Needs two").click()
    await one.get_by_role("link", name="Needs two").click()
    await two.get_by_label("Comment").fill("Half a thought")
    await one.get_by_role("button", name="Approve").click()
    await expect(one.get_by_text("Others still have to agree.")).to_be_visible()
    await expect(two.locator(".decisions")).to_contain_text("approver-a")
    await expect(two.get_by_text("still missing: a member of finance")).to_be_visible()
    await expect(two.get_by_label("Comment")).to_have_value("Half a thought")
    await two.get_by_role("button", name="Approve").click()
    await expect(one.locator("#part-status")).to_have_text("Approved")


async def test_deciding_what_somebody_decided_meanwhile_tells_so(
    open_window: Open, asking: Asking
) -> None:
    approval = await asking.ask("Race")
    # Without JavaScript the page does not hear of the other decision.
    window = await open_window("approver-b", java_script_enabled=False)
    await window.go(f"/approvals/{approval.id}")
    await window.page.get_by_label("Comment").fill("My reasons")
    async with placet.Client(asking.url, asking.tokens["approver-a"]) as other:
        await other.reject(approval, comment="Too late")
    await window.page.get_by_role("button", name="Approve").click()
    await expect(window.page.get_by_role("alert")).to_contain_text("decided meanwhile")
    await expect(window.page.locator(".decisions")).to_contain_text("approver-a")
    await expect(window.page.get_by_label("What you typed was not sent")).to_have_value(
        "My reasons"
    )


async def test_an_open_page_loses_its_buttons_and_keeps_what_was_typed(
    open_window: Open, asking: Asking
) -> None:
    approval = await asking.ask("Race")
    window = await open_window("approver-b")
    await window.go(f"/approvals/{approval.id}")
    await window.page.get_by_label("Comment").fill("My reasons")
    async with placet.Client(asking.url, asking.tokens["approver-a"]) as other:
        await other.grant(approval)
    await expect(window.page.get_by_role("button", name="Approve")).to_have_count(0)
    await expect(window.page.get_by_text("nothing left to decide")).to_be_visible()
    await expect(window.page.get_by_label("Comment")).to_have_value("My reasons")


async def test_the_back_button_after_a_decision_shows_that_it_is_decided(
    open_window: Open, asking: Asking
) -> None:
    approval = await asking.ask("Once")
    window = await open_window("approver-b")
    await window.go(inbox(asking))
    await window.page.get_by_role("link", name="Once").click()
    # Both clicks are before the answer, which may lead on to a page with something else there.
    await window.page.get_by_role("button", name="Approve").evaluate(
        "one => { one.click(); one.click(); }"
    )
    await expect(window.page.get_by_text("You approved this.")).to_be_visible()
    await window.page.go_back()
    await window.page.wait_for_load_state()
    await expect(window.page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
    decided = await asking.operator.approval(approval.id)
    assert decided is not None
    assert len(decided.decisions) == 1


async def test_everything_is_done_with_keys(open_window: Open, asking: Asking) -> None:
    await asking.ask_all("One", "Two", "Three")
    page = await open_live(open_window, asking, "approver-b")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    # The browser takes the focus out of the dialog a moment after it has closed it.
    await expect(page.locator("dialog :focus")).to_have_count(0)
    for key in ("j", "x", "j", "k", "j", "x"):
        await page.keyboard.press(key)
    await expect(page.locator("#marked")).to_have_text("2 marked")
    await page.keyboard.press("u")
    await expect(page.locator("#bulk-bar")).to_be_hidden()
    for key in ("x", "j", "x", "r"):
        await page.keyboard.press(key)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Reject 2 requests?")
    await page.get_by_label("Comment for all of them").fill("Not now")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("2 rejected")
    await expect_keys(page)
    await page.keyboard.press("u")
    await expect(page).to_have_url(re.compile("/inbox$"))
    await expect_keys(page)
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.goto(inbox(asking))
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("One")
    await expect_keys(page)
    await page.keyboard.press("a")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("You approved this.")).to_be_visible()


async def test_several_are_decided_together_without_javascript_on_a_phone(
    open_window: Open, asking: Asking
) -> None:
    for title, euros in (("Lamp", 40), ("Desk", 340)):
        await asking.ask(title, {"euros": euros, "to": "Kiel"})
    window = await open_window(
        "approver-b", java_script_enabled=False, viewport={"width": 390, "height": 844}
    )
    page = window.page
    await window.go(inbox(asking))
    for box in await page.get_by_role("checkbox").all():
        await box.check()
    await page.get_by_role("button", name="Approve…").click()
    differing = page.get_by_role("region", name="What differs")
    await expect(differing).to_contain_text("340")
    await expect(differing).not_to_contain_text("Kiel")
    await page.get_by_role("button", name="Approve 2").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("2 approved")
    await window.go(inbox(asking, "/decided"))
    await expect(rows(page)).to_have_count(2)


async def test_each_of_several_gets_its_own_result(open_window: Open, asking: Asking) -> None:
    first, _ = await asking.ask_all("Taken", "Free")
    window = await open_window("approver-b")
    await window.go(inbox(asking))
    for box in await window.page.get_by_role("checkbox").all():
        await box.check()
    await window.page.get_by_role("button", name="Approve…").click()
    both = window.page.get_by_role("button", name="Approve 2")
    await expect(both).to_be_visible()
    async with placet.Client(asking.url, asking.tokens["approver-a"]) as other:
        await other.grant(first)
    await both.click()
    await expect(window.page.get_by_role("heading", level=1)).to_have_text("1 approved, 1 not")
    await expect(window.page.locator("li", has_text="Taken")).to_contain_text("decided meanwhile")


async def test_the_search_is_in_the_address_and_narrows_the_list(
    open_window: Open, asking: Asking
) -> None:
    await asking.ask_all("Lamps for the office", "Chairs for the hall")
    window = await open_window("approver-b")
    await window.go(inbox(asking))
    await window.page.get_by_role("searchbox").press_sequentially("lamps")
    await expect(rows(window.page)).to_have_count(1)
    await expect(window.page.locator("#count")).to_have_text("1 approval")
    await expect(window.page).to_have_url(re.compile(r"q=lamps"))
    await window.page.reload()
    await expect(rows(window.page)).to_have_count(1)
    await window.page.get_by_role("link", name="Show all").click()
    await expect(window.page.get_by_role("searchbox")).to_have_value("")


async def test_a_signed_out_session_ends_the_stream_of_its_other_page(
    open_window: Open, asking: Asking
) -> None:
    page = await open_live(open_window, asking, "approver-b")
    other = await page.context.new_page()
    await other.goto("/inbox")
    await other.locator("summary", has_text="approver-b").click()
    await other.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()


async def test_what_is_typed_survives_the_end_of_the_session(
    open_window: Open, asking: Asking
) -> None:
    approval = await asking.ask("Slow")
    window = await open_window("approver-b")
    page = window.page
    await window.go(f"/approvals/{approval.id}")
    await page.get_by_label("Comment").fill("Thought about for an hour")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Approve", exact=True).click()
    await page.get_by_role("button", name=re.compile("^approver-b ")).click()
    await expect(page).to_have_url(re.compile(f"/approvals/{approval.id}$"))
    await expect(page.get_by_label("Comment")).to_have_value("Thought about for an hour")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.get_by_text("You approved this.")).to_be_visible()


async def test_every_page_of_deciding_is_for_everybody(open_window: Open, asking: Asking) -> None:
    asking.workflow = "expenses"
    window = await open_window("approver-b")
    await window.go("/inbox?q=nothing-has-these-words")
    await window.check("inbox-empty")
    approval = await asking.ask(
        "Pay invoice 4711 to Nordlicht GmbH",
        {
            "invoice": "4711",
            "supplier": {"name": "Nordlicht GmbH", "city": "Kiel"},
            "euros": 12480.5,
            "lines": [
                {"item": "Lamp LX-200", "count": 40, "price": 212.5},
                {"item": "Mounting", "count": 40, "price": 79.5},
            ],
            "note": "A long note. " * 60,
            "tags": ["q4", "office"],
        },
        policy=placet.require(2, group="finance"),
        description="The delivery is complete and was checked on Thursday.",
    )
    other = await asking.ask("Trip to Lisbon", {"to": "Lisbon", "days": 5, "euros": 1140})
    await window.go(inbox(asking))
    await expect(rows(window.page)).to_have_count(2)
    await window.check("inbox")
    await asking.ask("経費精算の承認をお願いします" * 15, {"額": 98000})
    await window.go(inbox(asking))
    await expect(rows(window.page)).to_have_count(3)
    await window.check("inbox-long")
    await window.page.get_by_role("checkbox").first.check()
    await window.page.keyboard.press("?")
    await expect(window.page.get_by_role("dialog", name="Keys")).to_be_visible()
    await window.check("keys")
    await window.go(f"/approvals/{approval.id}")
    await window.check("approval")
    await window.go(f"/approvals/{approval.id}/document")
    await window.check("document")
    await window.go(f"/decide?verdict=reject&id={approval.id}&id={other.id}")
    await window.check("decide")
    await window.page.get_by_label("Comment for all of them").fill("Budget is spent")
    await window.page.get_by_role("button", name="Reject 2").click()
    await expect(window.page.get_by_role("heading", level=1)).to_have_text("2 rejected")
    await window.check("decided")
    await window.go(f"/approvals/{approval.id}")
    await window.check("approval-decided")
    await window.go(inbox(asking, "/decided"))
    await window.check("inbox-decided")


async def test_a_page_at_twice_the_size_is_still_whole(open_window: Open, asking: Asking) -> None:
    approval = await asking.ask("Large letters", {"text": "a word " * 50})
    # A window of half the width has as much room as one at 200%.
    window = await open_window("approver-b", viewport={"width": 320, "height": 480})
    for address in ("/inbox", f"/approvals/{approval.id}", "/sign-in"):
        await window.go(address)
        width = await window.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 320, address
