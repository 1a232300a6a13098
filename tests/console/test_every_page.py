"""Every page of the console, with what an office would have on it, for everybody: see window.py.

``make pictures`` makes the pictures of the documentation from these pages.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
import pytest_asyncio
from playwright.async_api import expect

from api.console.pages.routes import PAGES
from bench.stack import Stack
from tests.api.channels.email.postbox import postbox
from tests.console.conftest import SCREENSHOTS, Open
from tests.console.office import Office, open_office
from tests.console.window import Window
from tests.support.forked import stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

VISITS: dict[str | None, dict[str, str]] = {
    None: {"sign-in": "/sign-in"},
    "approver-a": {
        "inbox": "/inbox",
        "inbox-decided": "/inbox/decided",
        "approval": "/approvals/{invoice}",
        "document": "/approvals/{invoice}/document",
        "decide": "/decide?verdict=grant&id={trip}&id={order}",
        "allow": "/standing-grants/new?approval={trip}",
        "standing-grants": "/standing-grants",
        "standing-grant": "/standing-grants/{grant}",
        "preferences": "/preferences",
        "push": "/notifications/push",
    },
    "operator": {
        "executions": "/executions",
        "start": "/executions/new",
        "execution": "/executions/{execution}",
        "past": "/executions/{execution}/at?version=5",
        "past-two": "/executions/{execution}/at?version=8&with=5",
    },
    "auditor": {
        "overview": "/overview",
        "audit-log": "/audit",
        "audit-decisions": "/audit/decisions",
        "audit-waiting": "/audit/waiting",
    },
    "admin": {
        "people": "/people",
        "groups": "/people/groups",
        "substitutes": "/substitutes",
        "operations": "/operations",
        "keys": "/operations/keys",
        "key-new": "/operations/keys/new",
        "key-change": "/operations/keys/change?name=billing-engine",
        "webhooks": "/operations/webhooks",
        "webhook-change": "/operations/webhooks/change?name=accounting",
        "messages": "/operations/messages",
    },
}
"""The pages by the person who looks at them (None: nobody is signed in) and by their names."""

NO_PAGES = {
    "/",
    "/signed-in",
    "/sign-in/callback/{alias}",
    "/language",
    "/graphiql/token",
    "/push-worker.js",
}
"""Addresses that lead elsewhere, or that only programs read."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Stack]:
    """A server of its own, so that its pages have nothing of other tests. It sends mails."""
    with ExitStack() as exits:
        box = exits.enter_context(postbox())
        running = stack(
            tmp_path_factory.mktemp("office"),
            database_url=module_database_url,
            public_url="https://placet.example",
            smtp_url=box.url,
            mail_from="placet@example.com",
        )
        yield exits.enter_context(running)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(server: Stack, module_database_url: str) -> AsyncIterator[Office]:
    office = await open_office(server, module_database_url)
    yield office
    await office.close()


async def test_every_page_is_looked_at() -> None:
    pages = {
        page.path
        for page in PAGES
        if page.method == "GET" and not page.path.endswith(("/stream", ".csv"))
    }
    seen = {
        re.sub(r"\?.*", "", address) for visits in VISITS.values() for address in visits.values()
    }
    left = pages - NO_PAGES
    for address in seen:
        left -= {path for path in left if _matches(path, address)}
    assert left == set()


@pytest.mark.parametrize("person", VISITS)
async def test_every_page_is_for_everybody(
    open_window: Open, office: Office, person: str | None
) -> None:
    window = await open_window(person, timezone_id="Europe/Berlin")
    for name, address in VISITS[person].items():
        await window.go(address.format(**office.ids))
        await expect(window.page.locator("main")).to_be_visible()
        await window.check(name)


async def test_people_see_what_was_sent_to_them(open_window: Open, office: Office) -> None:
    window = await open_window("approver-a", timezone_id="Europe/Berlin")
    page = window.page
    await window.go("/preferences")
    messages = page.get_by_role("region", name="Messages to you")
    trip = messages.get_by_role("listitem").filter(has_text="Trip to Lisbon")
    await expect(trip).to_contain_text("Approval requested")
    await expect(trip).to_contain_text("E-mail")
    await expect(trip).to_contain_text("Sent")
    # They are in the reader's time zone, and of others there is nothing.
    await expect(trip.locator("time")).to_have_attribute("title", re.compile("CES?T$"))
    await expect(messages.get_by_text("former-colleague")).to_have_count(0)
    await trip.get_by_role("link").click()
    await expect(page).to_have_url(re.compile(f"/approvals/{office.ids['trip']}$"))


async def test_graphiql_answers(open_window: Open, office: Office) -> None:
    assert office.ids
    window = await open_window("approver-a")
    page = window.page
    await window.go("/graphql")
    await expect(page.get_by_text("as approver-a")).to_be_visible()
    await page.get_by_role("button", name=re.compile("Execute query")).click()
    await expect(page.locator(".result-window")).to_contain_text("Pay invoice 4711")
    await keep(window, "graphiql")


async def keep(window: Window, name: str) -> None:
    """Take a picture, if pictures are wanted, of a page that is not made for phones."""
    if SCREENSHOTS is not None:
        path = SCREENSHOTS / f"{name}-desktop-light.png"
        await window.page.screenshot(path=path, caret="initial")


def _matches(path: str, address: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), address) is not None
