"""Signing in with a real browser."""

import re

import pytest
from playwright.async_api import expect

from tests.console.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_person_signs_in_and_out_with_the_keyboard_alone(open_window: Open) -> None:
    window = await open_window()
    await window.go("/inbox")
    await window.page.keyboard.press("Tab")
    await expect(window.page.get_by_text("Skip to the content")).to_be_focused()
    button = window.page.get_by_role("button", name=re.compile("^approver-b "))
    for _ in range(12):
        await window.page.keyboard.press("Tab")
        if await button.evaluate("one => one === document.activeElement"):
            break
    await window.page.keyboard.press("Enter")
    await expect(window.page).to_have_url(re.compile("/inbox$"))
    who = window.page.locator("summary", has_text="approver-b")
    await who.focus()
    await window.page.keyboard.press("Enter")
    sign_out = window.page.get_by_role("button", name="Sign out")
    for _ in range(5):
        await window.page.keyboard.press("Tab")
        if await sign_out.evaluate("one => one === document.activeElement"):
            break
    await window.page.keyboard.press("Enter")
    await expect(window.page).to_have_url(re.compile("/sign-in$"))


async def test_signing_in_works_without_javascript(open_window: Open) -> None:
    window = await open_window("approver-a", java_script_enabled=False)
    await expect(window.page).to_have_url(re.compile("/inbox$"))


async def test_a_person_reads_german_and_the_choice_stays(open_window: Open) -> None:
    window = await open_window(locale="de-DE")
    await window.go("/sign-in")
    await expect(window.page.get_by_role("heading", level=1)).to_have_text("Anmelden")
    await window.page.get_by_role("link", name="English").click()
    await expect(window.page.get_by_role("heading", level=1)).to_have_text("Sign in")
    await window.go("/sign-in")
    await expect(window.page.get_by_role("heading", level=1)).to_have_text("Sign in")


async def test_an_unknown_address_gets_a_page_that_leads_back(open_window: Open) -> None:
    window = await open_window("approver-a")
    await window.go("/no-such-page")
    await window.check("error")
    await window.page.get_by_role("link", name="To the start").click()
    await expect(window.page).to_have_url(re.compile("/inbox$"))
