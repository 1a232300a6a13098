"""The pages for auditors, without a browser: filters, files, and who sees them."""

import csv
import io
import re
from datetime import datetime

import pytest

from api.console.csv_file import lines
from api.console.pages.audit import decisions
from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient
from tests.console.test_overview import decide
from tests.support.moments import moment_after


def table(text: str) -> list[dict[str, str]]:
    """Read a file of the console."""
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


async def test_the_log_is_filtered_by_its_address_and_is_a_file(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    first = await ask(whole_server, "Pay")
    await ask(whole_server, "Other", started={"workflow": "trip"})
    await decide(whole_server, first, grants=True, key="the-key-of-a-decision")
    await console.sign_in("olivia")
    execution = first["id"].partition(".")[0]
    for address, found in {
        "/audit": 6,
        "/audit?type=ApprovalGranted": 1,
        "/audit?by=ann": 2,
        "/audit?by=nobody": 0,
        "/audit?workflow=trip": 2,
        f"/audit?execution={execution}": 4,
        f"/audit?execution={execution}&type=Started": 1,
        "/audit?since=2000-01-01T00:00&until=2100-01-01T00:00": 6,
        "/audit?since=2100-01-01T00:00": 0,
        "/audit?type=made-up": 0,
        "/audit?before=3": 2,
    }.items():
        page = await console.read(address)
        assert "the-key-of-a-decision" not in page, "it says nothing to people"
        assert page.count('class="row-title"') == found, address
        if "before" not in address:
            rows = table((await console.get(address.replace("/audit", "/audit/log.csv"))).text)
            assert len(rows) == found, address
    rows = table((await console.get("/audit/log.csv?workflow=payment")).text)
    assert [row["type"] for row in rows][:2] == ["Started", "ApprovalRequested"]
    assert rows[0]["workflow"] == "payment"
    answer = await console.get("/audit/log.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"


async def test_decisions_are_found_by_person_group_rule_and_workflow(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await decide(whole_server, await ask(whole_server, "=1+1"), grants=True)
    await decide(
        whole_server,
        await ask(whole_server, "<b>B</b>", started={"workflow": "trip"}),
        grants=False,
    )
    await console.sign_in("olivia")
    for address, found in {
        "/audit/decisions": 2,
        "/audit/decisions?person=ann": 2,
        "/audit/decisions?person=bob": 0,
        "/audit/decisions?group=finance": 2,
        "/audit/decisions?group=managers": 0,
        "/audit/decisions?rule=group:finance": 2,
        "/audit/decisions?workflow=trip": 1,
        "/audit/decisions?verdict=REJECTED": 1,
        "/audit/decisions?verdict=made-up": 2,
        "/audit/decisions?until=2000-01-01T00:00": 0,
    }.items():
        page = await console.read(address)
        assert page.count('class="row-title"') == found, address
        assert f"{found} decision" in page
        rows = table((await console.get(address.replace("/decisions", "/decisions.csv"))).text)
        assert len(rows) == found, address
    raw = (await console.get("/audit/decisions")).text
    assert "<b>B</b>" not in raw
    rows = table((await console.get("/audit/decisions.csv?workflow=payment")).text)
    assert rows[0]["title"] == "'=1+1"
    assert (rows[0]["by"], rows[0]["verdict"], rows[0]["groups"]) == (
        "ann", "GRANTED", "finance managers",
    )  # fmt: skip


async def test_decisions_are_summed_up(whole_server: WholeServer, console: ConsoleClient) -> None:
    for grants in (True, True, False):
        await decide(whole_server, await ask(whole_server, "Pay"), grants=grants)
    trip = await ask(whole_server, "Go", started={"workflow": "trip"})
    await decide(whole_server, trip, grants=True)
    await console.sign_in("olivia")

    async def rows(address: str) -> list[list[str]]:
        body = (await console.read(address)).partition("<tbody>")[2].partition("</tbody>")[0]
        found = (re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in body.split("</tr>"))
        # All but the median time, which is not the same each time.
        kept = (row[:2] + row[3:] for row in found if row)
        return [[re.sub(r"<[^>]*>", "", cell).strip() for cell in row] for row in kept]

    assert await rows("/audit/decisions") == [["Ann (ann)", "4", "3", "1"]]
    by_workflow = [["payment", "3", "2", "1"], ["trip", "1", "1", "0"]]
    assert await rows("/audit/decisions?by=workflow") == by_workflow
    assert await rows("/audit/decisions?by=group&workflow=trip") == [["finance", "1", "1", "0"]]
    assert await rows("/audit/decisions?by=rule") == [["group:finance", "4", "3", "1"]]
    assert await rows("/audit/decisions?by=made-up") == await rows("/audit/decisions")
    assert await rows("/audit/decisions?person=nobody") == []
    # A name leads to its decisions, with the filter that there was.
    page = await console.read("/audit/decisions?by=workflow&verdict=REJECTED")
    assert 'href="/audit/decisions?workflow=payment&verdict=REJECTED&by=workflow"' in page
    german = await console.read("/audit/decisions", **{"accept-language": "de"})
    assert "Zeit im Median" in german


async def test_a_summary_of_many_says_that_it_is_of_the_latest(
    whole_server: WholeServer, console: ConsoleClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "PAGE", 1)
    monkeypatch.setattr(decisions, "SUMMED_UP", 2)
    for _ in range(2):
        await decide(whole_server, await ask(whole_server, "Pay"), grants=True)
    await console.sign_in("olivia")
    first = await console.read("/audit/decisions")
    assert ">2</td>" in first
    assert "Of the latest" not in first
    await decide(whole_server, await ask(whole_server, "Pay"), grants=True)
    first = await console.read("/audit/decisions")
    assert ">2</td>" in first
    assert "Of the latest 2 only." in first
    [second] = re.findall(r'href="(/audit/decisions\?after=[^"]+)"', first)
    assert "Summary" not in await console.read(second)


async def test_what_was_waiting_at_a_moment(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    approval = await ask(whole_server, "Pay")
    query = "query ($id: ID!) { approval(id: $id) { requestedAt } }"
    asked = await whole_server.post({"query": query, "variables": {"id": approval["id"]}})
    requested_at = datetime.fromisoformat(asked.json()["data"]["approval"]["requestedAt"])
    then = (await moment_after(requested_at)).isoformat().replace("+00:00", "Z")
    await decide(whole_server, approval, grants=True)
    await console.sign_in("olivia")
    assert "0 approvals" in await console.read("/audit/waiting")
    page = await console.read(f"/audit/waiting?at={then}")
    assert "1 approval" in page
    assert "a member of finance" in page
    assert "0 approvals" in await console.read(f"/audit/waiting?at={then}&group=legal")
    assert "0 approvals" in await console.read("/audit/waiting?at=2000-01-01T00:00")
    [row] = table((await console.get(f"/audit/waiting.csv?at={then}")).text)
    assert (row["title"], row["needs"]) == ("Pay", "a member of finance")
    for wrong in ("/audit/waiting?at=yesterday", "/audit?since=x", "/audit/decisions?after=xyz"):
        assert (await console.get(wrong)).status_code == 400


@pytest.mark.parametrize("person", ["ann", "engine"])
async def test_it_is_for_those_who_read_everything(console: ConsoleClient, person: str) -> None:
    await console.sign_in(person)
    for address in ("", "/stream", "/log.csv", "/decisions", "/decisions.csv", "/waiting"):
        assert (await console.get(f"/audit{address}")).status_code == 403, address
    assert 'href="/audit"' not in (await console.get("/inbox")).text


async def test_operators_may_read_it_but_are_not_led_there(console: ConsoleClient) -> None:
    await console.sign_in("olivia")
    for address in ("/audit", "/audit/decisions", "/audit/waiting"):
        assert '<a href="/audit" aria-current="page">Audit' not in await console.read(address)


def test_a_file_is_as_rfc_4180_has_it_and_no_cell_is_a_formula() -> None:
    assert lines(
        [["a,b", 'c"d', "e\nf", None, True, -1.5, "-1", "\t=1", "\uff1dx", {"a": "="}]]
    ) == ('"a,b","c""d","e\nf",,true,-1.5,\'-1,\'\t=1,\'\uff1dx,"{""a"": ""=""}"\r\n')
