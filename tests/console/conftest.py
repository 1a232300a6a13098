"""A server, and people in windows of a real Chromium.

Chromium is the package of the system, because Playwright's own can't be had everywhere. Each test
process has one, and each person a window with cookies of its own.
"""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from bench.stack import Stack
from tests.api.whole_server import WholeServer
from tests.console.console_client import ConsoleClient
from tests.console.window import Window

# Milliseconds. What only a hang would take, also while other processes are busy.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
]

Open = Callable[..., Awaitable[Window]]


def _chromium() -> str:
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    missing = (
        "the tests of the console need Chromium; on Debian and Ubuntu: apt-get install chromium"
    )
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = _chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_window(browser: Browser, server: Stack) -> AsyncIterator[Open]:
    """Opens windows, each signed in as a person (None: nobody). They must end without an error."""
    async with AsyncExitStack() as stack:
        windows: list[Window] = []

        async def open_one(person: str | None = None, **options: Any) -> Window:
            context = await browser.new_context(
                base_url=server.url,
                **{"viewport": {"width": 1280, "height": 860}, "locale": "en-GB", **options},
            )
            stack.push_async_callback(context.close)
            context.set_default_timeout(PATIENCE)
            window = Window(await context.new_page(), SCREENSHOTS)
            windows.append(window)
            if person is not None:
                await window.sign_in(person)
            return window

        yield open_one
        assert [error for window in windows for error in window.errors] == []


SCREENSHOTS = Path(os.environ["SCREENSHOTS"]) if "SCREENSHOTS" in os.environ else None
"""Where pictures of the pages go, for the documentation and for whoever wants to look at them."""


@pytest.fixture
async def whole_server(log_url: str) -> AsyncIterator[WholeServer]:
    """A server in this process, on a fresh database."""
    async with WholeServer.open(log_url) as whole_server:
        yield whole_server


@pytest.fixture
async def console(whole_server: WholeServer) -> AsyncIterator[ConsoleClient]:
    """A browser without a screen, on that server. Nobody is signed in."""
    async with ConsoleClient.open(whole_server) as console:
        yield console
