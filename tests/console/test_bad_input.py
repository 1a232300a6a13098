"""What is hostile, made up or too large, on every page there is.

The pages of one approval have tests of their own, see test_bad_payloads.py.
"""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from api.console.pages.routes import PAGES
from domain.values import Role
from tests.api.whole_server import START, WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient
from tests.console.test_bad_payloads import SCRIPT
from tests.console.test_keys import make, sign_in
from tests.console.test_overview import decide

HIDDEN = "pay \u202edrow\u200b \u2066x\u00ad"
WIDE = "広" * 200
FILES = ("/audit/log.csv", "/audit/decisions.csv", "/audit/waiting.csv")
NOBODY = "00000000-0000-4000-8000-000000000000"
PARAMETERS = (
    *("after", "before", "version", "with", "at", "since", "until", "type", "by", "verdict"),
    *("execution", "person", "group", "rule", "workflow", "q", "state", "parked", "name", "id"),
    *("status", "language", "next", "view", "wait", "moment"),
)
MADE_UP = (
    "x" * 600,
    "%00",
    "%ff%fe",
    "%ED%A0%80",
    quote("'; DROP TABLE executions; --"),
    quote(SCRIPT),
    "99999999999999999999999",
    "-1",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59.999999999",
    "2026-02-30T25:61",
    NOBODY,
    quote("\U0001f600" * 60),
)


@pytest.fixture
async def admin(whole_server: WholeServer) -> AsyncIterator[ConsoleClient]:
    """A browser of somebody who may open every page."""
    async with ConsoleClient.open(whole_server) as console:
        await sign_in(console, await whole_server.keys.create("root", roles=list(Role)))
        yield console


def pages(method: str, *, public: bool = True) -> list[str]:
    """Return the addresses of all pages but streams, with ids that name nothing.

    ``public``: also those for people who are not signed in.
    """

    def made_up(part: re.Match[str]) -> str:
        return {"id": NOBODY, "action": "grant", "folder": "waiting"}.get(part[1], "made-up")

    return [
        re.sub(r"\{(\w+)\}", made_up, page.path)
        for page in PAGES
        if page.method == method
        and not page.path.endswith("/stream")
        and (public or not page.public)
    ]


async def execution_of(server: WholeServer, approval: dict[str, str]) -> str:
    """Return the id of the execution that asks."""
    query = "query ($id: ID!) { approval(id: $id) { execution { id } } }"
    found = await server.post({"query": query, "variables": {"id": approval["id"]}})
    return str(found.json()["data"]["approval"]["execution"]["id"])


async def hostile(server: WholeServer, text: str, name: str | None = None) -> str:
    """Put a text wherever a person or a program may write one. Returns the id of an execution.

    ``name`` is for names, which can't have all characters; by default the text.
    """
    name = text[:100] if name is None else name
    started = {
        "workflow": name,
        "labels": [{"name": "label", "value": name}],
        "input": {text: [text]},
        "onBehalfOf": name,
    }
    asked: dict[str, Any] = {
        "started": started,
        "key": name,
        "description": text,
        "payload": {text: {"rows": [{text: text}, {text: 1}]}},
        "policy": {"requirements": [{"groups": [name]}, {"groups": ["finance"]}]},
    }
    decided = await ask(server, text, **asked)
    given = {"approvalId": decided["id"], "comment": text}
    document = "mutation ($i: RejectionInput!) { rejectApproval(input: $i) { __typename } }"
    body = {"query": document, "variables": {"i": {**given, "digest": decided["digest"]}}}
    answer = (await server.post(body, "ann")).json()
    assert answer["data"]["rejectApproval"]["__typename"] == "Accepted", answer
    waiting = await ask(server, text, **asked)
    execution_id = await execution_of(server, waiting)
    park = "mutation ($i: ParkingInput!) { parkExecution(input: $i) { __typename } }"
    parked = {"executionId": execution_id, "reason": text}
    answer = (await server.post({"query": park, "variables": {"i": parked}})).json()
    assert answer["data"]["parkExecution"]["__typename"] == "Accepted", answer
    return execution_id


def shown(execution_id: str) -> tuple[str, ...]:
    past = f"/executions/{execution_id}/at"
    return (
        *("/audit", "/audit/decisions", "/audit/decisions?by=rule", "/audit/decisions?by=group"),
        *("/audit/decisions?by=workflow", "/audit/waiting", "/overview", "/operations"),
        *("/executions", f"/executions/{execution_id}", "/inbox/waiting", "/operations/keys"),
        *(f"{past}?version={version}" for version in (1, 2, 3)),
        f"{past}?version=3&with=1",
    )


async def test_nothing_that_somebody_wrote_is_markup_on_any_page(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    execution_id = await hostile(whole_server, SCRIPT)
    await make(admin, SCRIPT[:100], owner=SCRIPT[:100])
    await admin.send("/views", place="executions", name=SCRIPT[:60], address="/executions?q=a")
    seen = 0
    for address in shown(execution_id):
        text = (await admin.get(address)).text
        assert "<script>alert" not in text, address
        assert "<img src=x" not in text, address
        seen += "&lt;script&gt;" in text
    assert seen >= 12, "it is shown as text"


async def test_characters_that_reorder_or_hide_are_named_on_every_page(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    execution_id = await hostile(whole_server, HIDDEN, "payment")
    for address in shown(execution_id):
        text = await admin.read(address)
        for character in "\u202e\u200b\u2066\u00ad":
            assert character not in text, (address, f"U+{ord(character):04X}")


async def test_large_and_deep_payloads_are_shown_in_every_version(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    deep: Any = "innermost"
    for _ in range(90):
        deep = {"down": deep}
    payload = {"deep": deep, "rows": [{"n": n} for n in range(10_000)], "text": "x" * 90_000}
    execution_id = await execution_of(whole_server, await ask(whole_server, WIDE, payload=payload))
    past = unescape(await admin.read(f"/executions/{execution_id}/at?version=2"))
    for part in ("innermost", "x" * 90_000, "9999", WIDE):
        assert part in past
    for address in ("/audit", "/audit/waiting", "/inbox/waiting"):
        assert len(await admin.read(address)) < 150_000, "a list has no payloads"


async def test_an_address_that_somebody_made_up_never_breaks_a_page(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    execution_id = await hostile(whole_server, "w")
    addresses = [*pages("GET"), f"/executions/{execution_id}/at"]
    for address in addresses:
        for value in MADE_UP:
            made_up = "&".join(f"{name}={value}" for name in PARAMETERS)
            answer = await admin.get(f"{address}?{made_up}")
            assert answer.status_code < 500, (address, value, answer.text[:500])
            assert "<script>alert" not in answer.text
    for parameter in ("version", "with", "moment"):
        for value in MADE_UP:
            answer = await admin.get(f"/executions/{execution_id}/at?{parameter}={value}")
            assert answer.status_code < 500, (parameter, value)


async def test_a_forged_token_is_not_taken_by_any_form(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    await decide(whole_server, await ask(whole_server), grants=True)
    recorded = whole_server.recorded()
    for address in pages("POST", public=False):
        for csrf in ({}, {"csrf": ""}, {"csrf": "0" * 64}):
            answer = await admin.post(address, **csrf, name="a", role="AUDITOR", workflow="w")
            assert answer.status_code == 403, address
    assert whole_server.recorded() == recorded
    assert "No views" not in await admin.read("/inbox")
    assert [key.name for key in await whole_server.keys.all()] == ["root"]


async def test_a_form_of_a_session_that_has_ended_does_nothing(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    csrf = await admin.csrf()
    cookies = dict(admin.http.cookies)
    await admin.post("/sign-out", csrf=csrf)
    admin.http.cookies.update(cookies)
    recorded = whole_server.recorded()
    for address in pages("POST", public=False):
        answer = await admin.post(address, csrf=csrf, name="a", role="AUDITOR", workflow="w")
        assert answer.status_code in {303, 401, 403}, address
    assert whole_server.recorded() == recorded
    assert [key.name for key in await whole_server.keys.all()] == ["root"]


async def test_no_page_and_no_file_is_kept_or_framed(admin: ConsoleClient) -> None:
    scripts = ("/push-worker.js",)
    for address in (*pages("GET"), *FILES):
        if address in scripts:
            # It is the same for everybody, and the browser asks for it anew each time.
            continue
        headers = (await admin.get(address)).headers
        assert "no-store" in headers["cache-control"], address
        assert headers["x-frame-options"] == "DENY", address
        assert "frame-ancestors 'none'" in headers["content-security-policy"], address


async def test_a_workflow_can_be_found_whatever_its_name_is(
    whole_server: WholeServer, admin: ConsoleClient
) -> None:
    name = "a&b=c#d?e/f%20g+h \u00e4"
    await whole_server.post({"query": START, "variables": {"input": {"workflow": name}}})
    page = await admin.read(f"/audit?workflow={quote(name, safe='')}")
    assert page.count('class="row event"') == 1
