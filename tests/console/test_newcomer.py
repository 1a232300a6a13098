"""The way of a newcomer: from ``make demo`` to a decision, with a stopwatch."""

import asyncio
import re
import signal
import sys
import time

import pytest
from playwright.async_api import Browser, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

WITHIN = 120.0
ADDRESS = re.compile(r"^Open: +(http\S+)$")


async def test_from_the_demo_to_a_decision_in_under_two_minutes(browser: Browser) -> None:
    began = time.monotonic()
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.demo"), stdout=asyncio.subprocess.PIPE
    )
    assert demo.stdout is not None

    async def printed(wanted: re.Pattern[str]) -> re.Match[str]:
        """Return the next line that matches."""
        assert demo.stdout is not None
        async for line in demo.stdout:
            found = wanted.search(line.decode().rstrip())
            if found is not None:
                return found
        raise AssertionError("the demo has ended")

    try:
        async with asyncio.timeout(WITHIN):
            address = (await printed(ADDRESS))[1]
            context = await browser.new_context(locale="en-GB")
            page = await context.new_page()
            await page.goto(address)
            await page.get_by_role("link", name="Trip to").first.click()
            await page.get_by_role("button", name="Approve", exact=True).click()
            await expect(page.get_by_text("You approved this.")).to_be_visible()
            await printed(re.compile("^booked .* exactly as granted"))
            await expect(page.locator("#part-status")).to_have_text("Approved")
            await context.close()
        assert time.monotonic() - began < WITHIN
    finally:
        if demo.returncode is None:
            demo.send_signal(signal.SIGINT)
        await asyncio.wait_for(demo.communicate(), timeout=60)
