"""Deciding where the policy asks for a login, with a real provider and a real browser."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

import placet
from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open
from tests.console.sign_in_file import sign_in_file
from tests.console.window import Window
from tests.support.forked import stack
from tests.support.oidc_provider import RunningProvider

pytestmark = pytest.mark.asyncio(loop_scope="session")
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    with RunningProvider.start() as provider:
        for who in ("mia", "noor"):
            provider.knows(who, nickname=who.title(), roles=["approver"], groups=["finance"])
        yield provider


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: RunningProvider) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("providers")
    file = sign_in_file(directory, [(provider.url, "Acme")])
    with stack(directory / "data", issuers=file) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def asking(server: Stack) -> AsyncIterator[Asking]:
    async with Asking.on(server, "payments") as asking:
        yield asking


async def arriving(open_window: Open, **options: Any) -> Window:
    """Open a window whose provider's page needs nothing from elsewhere."""
    window = await open_window(**options)

    async def nothing(route: Route) -> None:
        await route.fulfill(status=200, body="")

    await window.page.route(re.compile("^https://"), nothing)
    return window


async def log_in(page: Page, provider: RunningProvider, person: str) -> None:
    """Log in at the provider's page."""
    await expect(page).to_have_url(re.compile(f"^{provider.url}/oauth2/authorize"))
    await page.locator("input[name=sub]").fill(person)
    await page.locator("input[name=sub]").press("Enter")


async def test_what_was_typed_is_there_after_the_login_that_the_policy_asks_for(
    open_window: Open, asking: Asking, provider: RunningProvider
) -> None:
    policy = placet.require(group="finance").step_up("phr", max_auth_age=timedelta(minutes=5))
    approval = await asking.ask("Pay the printer", {"euros": 120}, policy=policy.allow_amendment())
    window = await arriving(open_window)
    page = window.page
    await window.go(f"/approvals/{approval.id}")
    await window.check("sign-in-providers")
    await page.get_by_role("button", name="Sign in with Acme").click()
    await log_in(page, provider, "mia")

    await expect(page).to_have_url(re.compile(f"/approvals/{approval.id}$"))
    again = page.get_by_role("button", name="Sign in again with Acme")
    await expect(again).to_be_visible()
    await expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
    said = "Deciding needs a login of the strength phr that is no older than 5 minutes."
    await expect(page.locator("#part-policy")).to_contain_text(said)
    await page.get_by_label("Comment").fill("The old one is <b>broken</b>")
    await page.get_by_text("Change it before you approve").click()
    await page.get_by_label("euros").fill("90")
    await again.click()
    await log_in(page, provider, "mia")

    await expect(page).to_have_url(re.compile(f"/approvals/{approval.id}#decide$"))
    await expect(page.get_by_text("What you typed is here again.")).to_be_visible()
    await expect(page.get_by_label("Comment")).to_have_value("The old one is <b>broken</b>")
    await expect(page.get_by_label("euros")).to_have_value("90")
    await window.check("stepped-up")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await page.get_by_role("button", name="Approve with this change").click()
    await expect(page.locator("#part-mine")).to_contain_text("You approved")
    granted = await asking.operator.approval(approval.id)
    assert granted is not None
    [decision] = granted.decisions
    assert decision.by.id == "mia"
    assert "with the strength phr" in decision.explanation
    assert granted.payload == {"euros": 90}


async def test_somebody_else_who_comes_back_finds_nothing_of_what_was_typed(
    open_window: Open, asking: Asking, provider: RunningProvider
) -> None:
    policy = placet.require(group="finance").step_up("phr")
    approval = await asking.ask("Pay the painter", policy=policy)
    window = await arriving(open_window, viewport=PHONE, locale="de-DE")
    page = window.page
    await window.go(f"/approvals/{approval.id}")
    await page.get_by_role("button", name="Anmelden mit Acme").click()
    await log_in(page, provider, "mia")
    await page.get_by_label("Kommentar").fill("von Mia")
    await window.check("step-up-german")
    await page.get_by_role("button", name="Neu anmelden mit Acme").click()
    await log_in(page, provider, "noor")
    await expect(page.get_by_role("button", name="Freigeben", exact=True)).to_be_visible()
    await expect(page.get_by_label("Kommentar")).to_have_value("")
    await page.locator("summary", has_text="Noor").click()
    await page.get_by_role("button", name="Abmelden").click()
    await expect(page).to_have_url(re.compile(f"^{provider.url}/oauth2/end_session"))


async def test_signing_in_works_without_javascript(
    open_window: Open, asking: Asking, provider: RunningProvider
) -> None:
    window = await arriving(open_window, java_script_enabled=False)
    await window.go("/inbox")
    await window.page.get_by_role("button", name="Sign in with Acme").click()
    await log_in(window.page, provider, "mia")
    await expect(window.page).to_have_url(re.compile(f"^{asking.url}/inbox$"))
