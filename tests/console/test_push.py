"""The page of the browsers in which a person is told, and the script that shows messages."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.channels.web_push.subscriptions import PushSubscriptions
from tests.api.channels.web_push.browser import Browser
from tests.api.test_telling_people import record
from tests.api.test_telling_programs import ask
from tests.api.whole_server import WholeServer
from tests.console.console_client import ConsoleClient
from tests.domain.people import ANN, BOB

PATH = "/notifications/push"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
FAILED = """
    SELECT recipient, last_error FROM outbox_messages
    WHERE channel = 'push' AND last_error IS NOT NULL
"""


@pytest.fixture
async def offering(log_url: str) -> AsyncIterator[WholeServer]:
    """A server whose address is known, so that it offers web push."""
    async with WholeServer.open(log_url, public_url="https://placet.example") as server:
        yield server


async def test_a_person_allows_a_browser_and_removes_it(offering: WholeServer) -> None:
    async with ConsoleClient.open(offering) as ann, ConsoleClient.open(offering) as olivia:
        await ann.sign_in("ann")
        await olivia.sign_in("olivia")
        given = Browser().fields
        ann.http.headers["user-agent"] = FIREFOX
        assert (await ann.post(PATH, **given)).status_code == 403, "not from a page of the console"
        for _ in range(2):
            assert (await ann.send(PATH, **given)).status_code == 303
        page = await ann.read(PATH)
        assert page.count("Firefox on Linux") == 2, "one row, with one button"
        id_ = page.split('<li class="row" id="')[1].split('"')[0]
        assert "Firefox" not in await olivia.read(PATH)
        for given_id in (id_, "a\x00b"):
            assert (await olivia.send(f"{PATH}/remove", id=given_id)).status_code == 303
        assert "Firefox on Linux" in await ann.read(PATH), "it is not Olivia's"
        for _ in range(2):
            assert (await ann.send(f"{PATH}/remove", id=id_)).status_code == 303
        assert "Firefox on Linux" not in await ann.read(PATH)
        assert f'href="{PATH}"' in await ann.read("/preferences")


async def test_what_can_not_be_told_is_refused(offering: WholeServer) -> None:
    async with ConsoleClient.open(offering) as ann:
        await ann.sign_in("ann")
        inner = await ann.send(PATH, **Browser("https://10.0.0.1").fields)
        assert inner.status_code == 422
        assert "not a public address" in inner.text
        for number in range(10):
            assert (await ann.send(PATH, **Browser(name=str(number)).fields)).status_code == 303
        more = await ann.send(PATH, **Browser(name="more").fields)
        assert more.status_code == 409
        assert "Remove one first" in more.text


async def test_a_request_makes_a_message_for_a_browser_which_goes_to_no_own_network(
    offering: WholeServer,
) -> None:
    inner = Browser("http://127.0.0.1:9")
    await PushSubscriptions(offering.pool).add("ann", inner.keys, FIREFOX)
    await record(offering, ANN, BOB)
    await ask(offering)
    async with asyncio.timeout(30), offering.pool.connection() as connection:
        failed: list[tuple[str, str]] = []
        while not failed:
            await asyncio.sleep(0.02)
            cursor = await connection.execute(FAILED)
            failed = await cursor.fetchall()
    assert [(who, "not a public address" in why) for who, why in failed] == [("ann", True)]


async def test_machines_have_no_browser(offering: WholeServer) -> None:
    async with ConsoleClient.open(offering) as engine:
        await engine.sign_in("engine")
        assert (await engine.get(PATH)).status_code == 403
        assert (await engine.send(PATH, **Browser().fields)).status_code == 403


async def test_without_a_known_address_it_is_not_offered(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    assert whole_server.url
    await console.sign_in("ann")
    assert "PLACET_PUBLIC_URL" in await console.read(PATH)
    assert (await console.send(PATH, **Browser().fields)).status_code == 404


async def test_the_script_that_shows_messages_is_for_everybody_in_their_language(
    console: ConsoleClient,
) -> None:
    answer = await console.get("/push-worker.js?language=de")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "Eine Entscheidung wartet auf Sie" in answer.text
    assert "A decision waits for you" in (await console.get("/push-worker.js?language=../x")).text
