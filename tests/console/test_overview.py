"""The overview: its numbers, and who sees them."""

import re

import pytest

from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient

DECIDE = """
mutation ($input: %s!) { decided: %s(input: $input) { __typename } }
"""


async def decide(
    server: WholeServer, approval: dict[str, str], *, grants: bool, **rest: str
) -> None:
    given = {"approvalId": approval["id"], "digest": approval["digest"], **rest}
    query = DECIDE % (
        ("DecisionInput", "grantApproval") if grants else ("RejectionInput", "rejectApproval")
    )
    if not grants:
        given["comment"] = "Not now"
    answer = await server.post({"query": query, "variables": {"input": given}}, "ann")
    assert answer.json()["data"]["decided"]["__typename"] == "Accepted", answer.text


def tile(page: str, name: str) -> str:
    found = re.search(rf"<dt>{name}</dt><dd>(?:<a[^>]*>)?([^<]*)<", page)
    assert found is not None, name
    return found[1]


async def test_it_counts_what_waits_and_what_was_decided(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await decide(whole_server, await ask(whole_server), grants=True)
    await decide(whole_server, await ask(whole_server), grants=False)
    for groups in (["finance"], ["finance", "legal"]):
        await ask(whole_server, policy={"requirements": [{"groups": groups}]})
    await ask(whole_server, policy={"requirements": [{"users": ["ann"]}]})
    await console.sign_in("olivia")
    page = await console.read("/overview")
    assert tile(page, "Waiting now") == "3"
    assert tile(page, "Decided in 30 days") == "2"
    assert tile(page, "Expired in 30 days") == "0"
    rows = re.findall(r'<th scope="row">(.*?)</tr>', page)
    words = [re.sub(r"<[^>]+>", " ", row).split() for row in rows]
    assert ["finance", "2", "0", "0", "0", "0", "2"] in words
    assert ["legal", "1", "0", "0", "0", "0", "1"] in words
    assert ["people", "by", "name", "1", "0", "0", "0", "0", "1"] in words
    assert ["payment", "50%", "50%"] in words


async def test_an_empty_server_says_so(console: ConsoleClient) -> None:
    await console.sign_in("olivia")
    page = await console.read("/overview")
    assert "Nothing waits for anybody" in page
    assert "Nothing was decided" in page


@pytest.mark.parametrize("person", ["ann", "engine"])
async def test_it_is_for_those_who_read_everything(console: ConsoleClient, person: str) -> None:
    await console.sign_in(person)
    assert (await console.get("/overview")).status_code == 403
    assert 'href="/overview"' not in (await console.get("/inbox")).text


async def test_names_are_text(whole_server: WholeServer, console: ConsoleClient) -> None:
    name = "<b>finance</b>"
    await ask(
        whole_server,
        policy={"requirements": [{"groups": [name]}]},
        started={"workflow": "<i>pay</i>"},
    )
    await console.sign_in("olivia")
    page = (await console.get("/overview")).text
    assert "<b>" not in page
