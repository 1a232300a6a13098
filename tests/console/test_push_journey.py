"""The button that lets a browser tell a person, and what the browser then shows.

Everything is real but two calls of the browser: ``PushManager.subscribe`` and ``getSubscription``
need a push service of the browser's maker, so the test answers them. The message is put into the
service worker by Chromium's own tools.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from bench.stack import Stack
from tests.api.channels.web_push.browser import Browser
from tests.console.asking import Asking
from tests.console.conftest import Open
from tests.support.forked import stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATH = "/notifications/push"
PUSH_SERVICE = """
(fields) => {
  const kept = () => JSON.parse(localStorage.getItem("subscription"));
  const made = () => kept() && {
    endpoint: kept().endpoint,
    toJSON: () => ({ endpoint: kept().endpoint, expirationTime: null, keys: kept().keys }),
    unsubscribe: async () => localStorage.removeItem("subscription") ?? true,
  };
  PushManager.prototype.getSubscription = async () => made();
  PushManager.prototype.subscribe = async (options) => {
    if (!options.userVisibleOnly) throw new Error("not visible");
    const { endpoint, ...keys } = fields;
    const key = [...options.applicationServerKey];
    localStorage.setItem("subscription", JSON.stringify({ endpoint, keys, key }));
    return made();
  };
}
"""
KEY = "() => JSON.parse(localStorage.getItem('subscription')).key"
SHOWN = """
async () => {
  const registration = await navigator.serviceWorker.getRegistration("/");
  return (await registration.getNotifications()).map((one) => [one.title, one.body, one.data]);
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("push")
    with stack(directory, public_url="https://placet.example") as running:
        yield running


async def push(window: Any, data: str) -> None:
    """Let the browser get a message, as its push service would bring it."""
    session = await window.page.context.new_cdp_session(window.page)
    found = asyncio.get_running_loop().create_future()

    def registered(event: Any) -> None:
        for one in event["registrations"]:
            if not found.done():
                found.set_result(one)

    session.on("ServiceWorker.workerRegistrationUpdated", registered)
    await session.send("ServiceWorker.enable")
    registration = await asyncio.wait_for(found, 60)
    await session.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": registration["scopeURL"].rstrip("/"),
            "registrationId": registration["registrationId"],
            "data": data,
        },
    )


async def shown(window: Any, count: int) -> Any:
    async with asyncio.timeout(60):
        while len(found := await window.page.evaluate(SHOWN)) < count:
            await asyncio.sleep(0.05)
    return found


async def test_a_person_lets_a_browser_tell_them_and_takes_it_back(
    open_window: Open, server: Stack
) -> None:
    async with Asking.on(server, "trips") as asking:
        approval = await asking.ask("Trip to the moon")
    window = await open_window("approver-a")
    page, context = window.page, window.page.context
    await context.grant_permissions(["notifications"], origin=server.url)
    script = f"({PUSH_SERVICE})({json.dumps(Browser().fields)})"
    await context.add_init_script(script)
    await window.go(PATH)
    await expect(page.get_by_text("This browser does not notify you yet.")).to_be_visible()
    await window.check("push-off")
    await page.get_by_role("button", name="Notify me in this browser").click()
    await expect(page.get_by_text("This browser notifies you.")).to_be_visible()
    await expect(page.get_by_text("this browser", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Notify me in this browser")).to_be_hidden()
    key = await page.evaluate(KEY)
    assert (len(key), key[0]) == (65, 4), "a point of P-256, uncompressed"
    await window.check("push-on")

    link = f"/approvals/{approval.id}"
    await push(window, json.dumps({"kind": "OPENED", "link": link}).ljust(192))
    assert await shown(window, 1) == [["A decision waits for you", "", link]]
    await push(window, json.dumps({"kind": "OPENED", "link": link}))
    await push(window, "no JSON")
    two = await shown(window, 2)
    assert sorted(title for title, *_ in two) == [
        "A decision waits for you",
        "Something happened in Placet",
    ]

    await page.get_by_role("button", name=re.compile("^Remove: ")).click()
    await expect(page.get_by_text("This browser does not notify you yet.")).to_be_visible()
    assert await page.evaluate("() => localStorage.getItem('subscription')") is None


async def test_what_keeps_a_browser_from_telling_is_said(open_window: Open) -> None:
    without = await open_window("approver-a", java_script_enabled=False)
    await without.go(PATH)
    await expect(without.page.get_by_text("This browser can't notify you.")).to_be_visible()
    window = await open_window("approver-a", locale="de-DE")
    await window.page.context.grant_permissions([])
    await window.go(PATH)
    await window.page.get_by_role("button", name="In diesem Browser benachrichtigen").click()
    await expect(window.page.get_by_text("Der Browser erlaubt es nicht.")).to_be_visible()
