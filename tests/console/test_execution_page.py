"""The page of an execution in a real browser."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

import placet
from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def asking(server: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    async with Asking.on(server, request.node.name) as asking:
        yield asking


async def test_the_page_follows_the_execution(open_window: Open, asking: Asking) -> None:
    approval = await asking.ask("Pay")
    window = await open_window("operator")
    page = window.page
    await window.go(f"/executions/{approval.execution_id}")
    await expect(page.locator("#part-status")).to_have_text("Waits for approval")
    first = page.locator("#part-events details").first
    await first.locator("summary").click()
    async with placet.Client(asking.url, asking.tokens["approver-b"]) as approver:
        await approver.grant(approval)
    await expect(page.locator("#part-status")).to_have_text("Resumed")
    await expect(page.locator("#way-text")).to_have_text("Running → Waits for approval → Resumed")
    await expect(page.locator("#part-approvals")).to_contain_text("by approver-b")
    await expect(page.locator("#part-events")).to_contain_text("Resumed")
    await expect(first).to_have_attribute("open", "")


async def test_an_operator_cancels_and_is_told_before_what_it_does(
    open_window: Open, asking: Asking
) -> None:
    approval = await asking.ask("Pay")
    window = await open_window("operator")
    page = window.page
    await window.go(f"/executions/{approval.execution_id}")
    await page.get_by_text("Cancel…").click()
    await expect(page.get_by_text("1 pending approval is withdrawn")).to_be_visible()
    await page.locator("#cancel-reason").fill("Ordered twice")
    await page.get_by_role("button", name="Cancel it").click()
    await expect(page.locator("#part-status")).to_have_text("Cancelled")
    await expect(page.locator("#part-approvals")).to_contain_text("Withdrawn")


async def test_what_is_folded_and_an_empty_list_are_for_everybody(
    open_window: Open, asking: Asking
) -> None:
    asking.workflow = "purchase-order"
    approval = await asking.ask("Order 40 lamps")
    execution = approval.execution_id
    await asking.engine.record_step(execution, "check", name="check stock", result={"lamps": 40})
    window = await open_window("operator")
    await window.go(f"/executions/{execution}")
    for summary in await window.page.locator("summary:visible").all():
        await summary.click()
    await window.check("execution-open")
    await window.go("/executions?state=CANCELLED&q=nothing-has-these-words")
    await window.check("executions-empty")


async def test_the_slider_moves_the_past(open_window: Open, asking: Asking) -> None:
    asking.workflow = "purchase-order"
    approval = await asking.ask("Order 40 lamps")
    window = await open_window("auditor")
    page = window.page
    await window.go(f"/executions/{approval.execution_id}/at?version=1")
    await page.get_by_role("slider").press("ArrowRight")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("version 2 of 2")
    await expect(page).to_have_url(re.compile("version=2"))
    await window.go(f"/executions/{approval.execution_id}/at?version=1")
    await page.get_by_role("button", name="Play").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("version 2 of 2")
