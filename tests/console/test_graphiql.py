"""GraphiQL, in a browser: from files of this server only, as the person who is signed in."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Everything that the browser keeps after the page is closed.
KEPT = """
() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])
"""


@pytest_asyncio.fixture(loop_scope="session")
async def asking(server: Stack) -> AsyncIterator[Asking]:
    async with Asking.on(server, "graphiql") as asking:
        yield asking


async def run(page: Page) -> None:
    await page.get_by_role("button", name=re.compile("Execute query")).click()


async def test_it_opens_without_another_host_and_asks_as_who_is_signed_in(
    open_window: Open, server: Stack
) -> None:
    window = await open_window("approver-a")
    page = window.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await window.go("/graphql")
    await expect(page.get_by_text("as approver-a")).to_be_visible()
    await run(page)
    await expect(page.locator(".result-window")).to_contain_text('"name": "approver-a"')
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []


async def test_a_subscription_shows_an_event(open_window: Open, asking: Asking) -> None:
    window = await open_window("auditor")
    page = window.page
    await window.go("/graphql")
    await page.get_by_role("button", name="Events", exact=True).click()
    await run(page)
    # The first message tells where the stream begins.
    await expect(page.locator(".result-window")).to_contain_text('"cursor"')
    approval = await asking.ask("Pay")
    await expect(page.locator(".result-window")).to_contain_text(approval.execution_id)


async def test_the_browser_remembers_no_token(open_window: Open, server: Stack) -> None:
    window = await open_window("approver-a")
    page = window.page
    await window.go("/sign-in")
    await page.evaluate("localStorage.setItem('graphiql:headers', 'kept before')")
    await window.go('/graphql?query={viewer{name}}&headers={"authorization":"Bearer of-a-link"}')
    await run(page)
    await expect(page.locator(".result-window")).to_contain_text('"name": "approver-a"')
    await page.get_by_role("button", name="Headers").click()
    await page.locator(".graphiql-editor-tool .graphiql-editor:visible .CodeMirror").click()
    token = server.tokens["approver-b"]
    await page.keyboard.insert_text(f'{{"authorization": "Bearer {token}"}}')
    await run(page)
    await expect(page.locator(".result-window")).to_contain_text('"name": "approver-b"')
    kept = await page.evaluate(KEPT)
    for secret in (token, server.tokens["approver-a"], "of-a-link", "kept before"):
        assert secret not in kept
