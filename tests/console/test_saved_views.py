"""Saved views: searches with a name, each person's own."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient

LAMPS = "/inbox?q=lamps&workflow=payment"


@pytest.fixture
async def ann(console: ConsoleClient) -> ConsoleClient:
    await console.sign_in("ann")
    return console


async def save(console: ConsoleClient, name: str, address: str, **more: Any) -> httpx.Response:
    fields = {"place": "inbox", "name": name, "address": address, **more}
    return await console.send("/views", **fields)


def views_on(page: str) -> dict[str, str]:
    found = re.findall(r'class="view" href="([^"]*)"[^>]*><bdi>([^<]*)<', page)
    return {name: address for address, name in found}


async def test_a_view_is_saved_under_a_name_and_shows_the_same_again(
    whole_server: WholeServer, ann: ConsoleClient
) -> None:
    await ask(whole_server, "Pay the lamps")
    await ask(whole_server, "Pay the chairs")
    answer = await save(ann, "Lamps", LAMPS)
    assert (answer.status_code, answer.headers["location"]) == (303, LAMPS)
    page = await ann.read("/inbox")
    assert views_on(page) == {"Lamps": LAMPS}
    shown = await ann.read(views_on(page)["Lamps"])
    assert "Pay the lamps" in shown
    assert "Pay the chairs" not in shown
    assert 'aria-current="page"><bdi>Lamps' in shown
    assert "Delete the view" in shown


async def test_a_name_is_used_anew_and_a_view_is_deleted(ann: ConsoleClient) -> None:
    await save(ann, "Mine", "/inbox?q=one")
    await save(ann, "Mine", "/inbox/decided?q=two")
    assert views_on(await ann.read("/inbox")) == {"Mine": "/inbox/decided?q=two"}
    for _ in range(2):
        deleted = await ann.send("/views/delete", place="inbox", name="Mine")
        assert deleted.status_code == 303
    assert views_on(await ann.read("/inbox")) == {}


async def test_one_persons_views_are_nobody_elses(
    whole_server: WholeServer, ann: ConsoleClient
) -> None:
    await save(ann, "Mine", LAMPS)
    async with ConsoleClient.open(whole_server) as other:
        await other.sign_in("olivia")
        assert views_on(await other.read("/inbox/asked")) == {}
        await other.send("/views/delete", place="inbox", name="Mine")
    assert views_on(await ann.read("/inbox")) == {"Mine": LAMPS}


async def test_executions_have_views_of_their_own(console: ConsoleClient) -> None:
    await console.sign_in("olivia")
    address = "/executions?state=FAILED"
    given = {"place": "executions", "name": "Broken", "address": f"{address}&after=x&made=up"}
    answer = await console.send("/views", **given)
    assert answer.headers["location"] == address, "nothing but the filters is kept"
    assert views_on(await console.read("/executions")) == {"Broken": address}
    assert views_on(await console.read("/inbox/waiting")) == {}


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example/inbox",
        "https://evil.example/inbox",
        "javascript:alert(1)",
        "/inbox/made-up",
        "/executions?q=x",
        "/inbox%0d%0aset-cookie: a=b",
        "",
        "inbox",
    ],
)
async def test_an_address_that_somebody_made_up_is_not_saved(
    ann: ConsoleClient, address: str
) -> None:
    assert (await save(ann, "Mine", address)).status_code == 404
    assert views_on(await ann.read("/inbox")) == {}


async def test_a_name_that_somebody_made_up_is_refused_with_the_reason(ann: ConsoleClient) -> None:
    for name in ("", "  ", "n" * 81, "a\nb", "a\u202eb", "a\0b"):
        answer = await save(ann, name, LAMPS)
        assert answer.status_code == 422, repr(name)
        assert "80 characters" in answer.text
    assert (await save(ann, "Mine", LAMPS, place="nowhere")).status_code == 404
    assert (await save(ann, "<b>\u5e83</b>", LAMPS)).status_code == 303
    assert "&lt;b&gt;\u5e83" in (await ann.get("/inbox")).text


async def test_filters_of_a_view_that_mean_nothing_are_left_out(ann: ConsoleClient) -> None:
    answer = await save(ann, "All", "/inbox?view=x&folder=y&q=%20")
    assert answer.headers["location"] == "/inbox"


async def test_a_person_has_at_most_fifty_views_of_a_list(ann: ConsoleClient) -> None:
    csrf = await ann.csrf()
    answers = await asyncio.gather(
        *(
            ann.post("/views", place="inbox", name=f"view {number}", address=LAMPS, csrf=csrf)
            for number in range(60)
        )
    )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(303), statuses.count(422)) == (50, 10)
    kept = f"view {statuses.index(303)}"
    assert (await save(ann, "one more", LAMPS)).status_code == 422
    assert (await save(ann, kept, "/inbox?q=other")).status_code == 303, "it is there already"
