"""The pages for auditors in a browser: the log as it happens, and looking back."""

import re

import pytest
from playwright.async_api import expect

import placet
from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_auditor_follows_the_log_and_looks_back(server: Stack, open_window: Open) -> None:
    async with Asking.on(server, "audited") as asking:
        approval = await asking.ask("Pay the hotel")
        window = await open_window("auditor")
        page = window.page
        await window.go("/")
        await page.get_by_role("link", name="Audit", exact=True).click()
        await page.get_by_text("Filter", exact=True).click()
        await page.get_by_label("Workflow").fill("audited")
        await page.get_by_role("button", name="Show").click()
        rows = page.locator("#events > .row")
        await expect(rows).to_have_count(2)
        await expect(rows.first).to_contain_text("ApprovalRequested")
        await expect(page.locator("#live")).to_have_text("live")
        async with placet.Client(server.url, server.tokens["approver-a"]) as approver:
            await page.mouse.move(5, 5)
            done = await approver.grant(approval, comment="Agreed")
            await expect(rows).to_have_count(4)
            await expect(rows.nth(1)).to_contain_text("ApprovalGranted")
            # While somebody reads the list, what is new waits.
            await rows.nth(1).hover()
            before = await rows.nth(1).bounding_box()
            await approver.comment(approval, "and thanks")
            await expect(page.get_by_role("button", name="1 new event")).to_be_visible()
            await expect(rows).to_have_count(4)
            assert await rows.nth(1).bounding_box() == before
            await page.get_by_role("button", name="1 new event").click()
            await expect(rows.first).to_contain_text("ApprovalCommented")
        await asking.operator.recorded_decisions(first=0, at_least=done.position)

        await page.get_by_role("link", name="Decisions", exact=True).click()
        await page.get_by_text("Filter", exact=True).click()
        await page.get_by_label("Workflow").fill("audited")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("link", name="Pay the hotel")).to_be_visible()
        await expect(page.get_by_text("group:finance")).to_be_visible()
        summed_up = page.get_by_role("navigation", name="Summed up by")
        await summed_up.get_by_role("link", name="Rule").click()
        await expect(page.get_by_role("rowheader", name="group:finance")).to_be_visible()
        await summed_up.get_by_role("link", name="Workflow").click()
        await expect(page.get_by_role("rowheader", name="audited")).to_be_visible()
        async with page.expect_download() as started:
            await page.get_by_role("link", name="As a CSV file").click()
        assert (await started.value).suggested_filename == "placet-decisions.csv"


async def test_an_auditor_sees_what_waits_and_the_execution_as_it_was(
    server: Stack, open_window: Open
) -> None:
    async with Asking.on(server, "audited-waiting") as asking:
        window = await open_window("auditor")
        page = window.page
        await window.go("/audit")
        await page.get_by_role("link", name="Waiting at a moment").click()
        await asking.ask("Pay the train")
        await page.get_by_text("Filter", exact=True).click()
        await page.get_by_label("Workflow").fill("audited-waiting")
        await page.get_by_role("button", name="Apply").click()
        await expect(page.get_by_role("link", name="Pay the train")).to_be_visible()
        await page.get_by_role("link", name="Pay the train").click()
        await expect(page).to_have_url(re.compile(r"/executions/[^/]+/at\?version=2$"))


async def test_it_works_without_javascript(server: Stack, open_window: Open) -> None:
    async with Asking.on(server, "audited-plainly") as asking:
        await asking.ask("Pay the hotel")
        window = await open_window("auditor", java_script_enabled=False)
        await window.go("/audit?workflow=audited-plainly")
        await expect(window.page.locator("#events > .row")).to_have_count(2)
        await window.page.get_by_role("link", name="Waiting at a moment").click()
        await window.page.get_by_label("Moment").fill("2000-01-01T00:00:00")
        await window.page.get_by_role("button", name="Show").click()
        await expect(window.page.get_by_text("Nothing waited for anybody then.")).to_be_visible()
