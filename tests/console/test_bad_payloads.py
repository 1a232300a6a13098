"""Payloads that were made to mislead, or to break the page."""

from typing import Any

import pytest

from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}{% raw %}"


def nested(levels: int) -> Any:
    value: Any = "innermost"
    for level in range(levels):
        value = {"down": value} if level % 2 else [value, level]
    return value


async def page_of(server: WholeServer, console: ConsoleClient, payload: Any, **more: Any) -> str:
    approval = await ask(server, payload=payload, **more)
    answer = await console.get(f"/approvals/{approval['id']}")
    assert answer.status_code == 200
    return answer.text


async def test_nothing_of_a_payload_is_markup(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    payload = {SCRIPT: SCRIPT, "rows": [{SCRIPT: SCRIPT}, {SCRIPT: 1}], "list": [SCRIPT]}
    page = await page_of(
        whole_server, console, payload, title=SCRIPT, description=SCRIPT, key=SCRIPT[:60]
    )
    inbox = (await console.get("/inbox")).text
    approval = page.split('/grant"')[0].rpartition("/")[2]
    for text in (
        page,
        inbox,
        (await console.get(f"/approvals/{approval}/document")).text,
        (await console.get(f"/decide?verdict=grant&id={approval}")).text,
    ):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "{{ 7*7 }}" in text, "a template of a stranger is text too"


async def test_characters_that_reorder_or_hide_are_named(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    page = await page_of(
        whole_server,
        console,
        {"file": "invoice\u202egpj.exe", "zero\u200bwidth": "a\u2066b\u00ad", "tag": "\U000e0041"},
        title="Pay \u202edrow",
    )
    for hidden in "\u202e\u200b\u2066\u00ad\U000e0041":
        assert hidden not in page
        assert f"U+{ord(hidden):04X}" in page


async def test_two_hundred_levels_are_shown_to_the_last(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    try:
        page = await page_of(whole_server, console, nested(200))
    except AssertionError:
        # The API takes fewer levels: as many as it does are shown.
        page = await page_of(whole_server, console, nested(90))
    assert "innermost" in page


async def test_ten_thousand_rows_are_all_there_and_folded(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    rows = [{"n": number, "x": 0} for number in range(10_000)]
    page = await page_of(whole_server, console, rows)
    assert "10000 rows" in page
    assert page.count("<tr>") >= 10_000
    assert page.index("<summary>10000 rows") < page.index("<tr>"), "they are folded"


@pytest.mark.parametrize(
    "payload", [None, True, 0, "", "text", [], {}, [[]], [[], {}], {"": ""}, [None], [1, "1"]]
)
async def test_every_json_value_has_a_page(
    whole_server: WholeServer, console: ConsoleClient, payload: Any
) -> None:
    await console.sign_in("ann")
    # A falsy payload is one too.
    approval = await ask(whole_server, payload={"wrapped": payload})
    assert (await console.get(f"/approvals/{approval['id']}")).status_code == 200


async def test_a_title_of_wide_characters_and_a_text_of_256_kib_are_shown_whole(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    title, text = "広" * 500, "x" * 250_000
    page = await page_of(whole_server, console, {"text": text}, title=title)
    assert title in page
    assert text in page
