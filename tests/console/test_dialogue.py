"""What people do on the page of an approval beside deciding, without a browser."""

import re
from typing import Any

from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient

TWO = {"requirements": [{"groups": ["finance"], "count": 2}]}
DIGEST = re.compile(r'name="digest" value="([^"]+)"')


async def switch(console: ConsoleClient, person: str) -> None:
    await console.send("/sign-out")
    await console.sign_in(person)


async def grant(console: ConsoleClient, address: str) -> None:
    found = DIGEST.search((await console.get(address)).text)
    assert found is not None
    assert (await console.send(f"{address}/grant", digest=found[1])).status_code == 303


async def test_who_sees_an_approval_comments_on_it(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = f"/approvals/{(await ask(whole_server, policy=TWO))['id']}"
    await console.sign_in("ann")
    assert "Nobody has written anything yet" in await console.read(address)
    empty = await console.send(f"{address}/comment", text="  ")
    assert (empty.status_code, "Write something first" in empty.text) == (422, True)
    before = whole_server.recorded()
    for _ in range(2):
        sent = await console.send(f"{address}/comment", text="Where is the <offer>?", key="once")
        assert sent.status_code == 303
    assert whole_server.recorded() == before + 1, "a second click repeats the first"
    long = await console.send(f"{address}/comment", text="x" * 10_001)
    assert long.status_code == 422
    assert "the limit is 10000" in long.text
    await switch(console, "olivia")
    assert "Where is the <offer>?" in await console.read(address)
    assert (await console.send(f"{address}/comment", text="In the mail.")).status_code == 303
    page = await console.read(address)
    assert page.index("Where is the <offer>?") < page.index("In the mail.")


async def test_of_many_comments_the_page_has_the_latest_and_leads_to_the_others(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = f"/approvals/{(await ask(whole_server))['id']}"
    await console.sign_in("ann")
    for number in range(52):
        await console.send(f"{address}/comment", text=f"comment {number}.")
    page = await console.read(address)
    assert "comment 51." in page
    assert "comment 1." not in page
    earlier = re.search(r'href="(/approvals/\S+\?before=\d+)#comments"', page)
    assert earlier is not None
    page = await console.read(earlier[1])
    assert re.findall(r"comment (\d+)\.", page) == ["0", "1"]
    assert "Latest comments" in page


async def test_a_decision_is_handed_over_and_taken_back(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = f"/approvals/{(await ask(whole_server, policy=TWO))['id']}"
    await console.sign_in("ann")
    for to, said in (("", "Name the person"), ("ann", "name somebody else")):
        refused = await console.send(f"{address}/delegate", to=to, why="Away")
        assert refused.status_code == 422
        assert said in refused.text
        assert 'value="Away"' in refused.text, "what was typed stays"
    sent = await console.send(f"{address}/delegate", to="zoe", why="On holiday")
    assert sent.status_code == 303
    page = await console.read(address)
    assert "Ann (ann) handed the decision to zoe" in page
    assert "On holiday" in page
    assert "You handed the decision to zoe." in page
    assert 'id="decision-form"' not in page
    assert (await console.send(f"{address}/take-back-delegation")).status_code == 303
    page = await console.read(address)
    assert "The decision is not with zoe any more" in page
    assert 'id="decision-form"' in page


async def test_whoever_is_on_it_is_seen_by_all_and_bars_nobody(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = f"/approvals/{(await ask(whole_server, policy=TWO))['id']}"
    await console.sign_in("ann")
    assert (await console.send(f"{address}/claim")).status_code == 303
    assert "You are on it." in await console.read(address)
    await switch(console, "olivia")
    page = await console.read(address)
    assert "Ann (ann) is on it." in page
    assert "I am on it" not in page, "an operator decides nothing"
    assert (await console.send(f"{address}/claim")).status_code == 403
    await switch(console, "ann")
    assert (await console.send(f"{address}/unclaim")).status_code == 303
    assert "You are on it." not in await console.read(address)


async def test_a_grant_is_revoked_by_who_may_and_with_a_reason(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    address = f"/approvals/{(await ask(whole_server))['id']}"
    await console.sign_in("ann")
    assert "Revoke the approval" not in await console.read(address)
    early = await console.send(f"{address}/revoke", reason="Too early")
    assert early.status_code == 409
    assert "Only what is approved can be revoked." in early.text
    await grant(console, address)
    assert "Revoke the approval" in await console.read(address)
    silent = await console.send(f"{address}/revoke", reason=" ")
    assert (silent.status_code, "Say why" in silent.text) == (422, True)
    assert (await console.send(f"{address}/revoke", reason="Wrong supplier")).status_code == 303
    page = await console.read(address)
    assert "Revoked" in page
    assert "Revoke the approval" not in page


async def test_each_stage_says_who_is_missing_and_every_refusal_says_its_rule(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    policy = {
        "requirements": [
            {"users": ["ann", "zoe"], "count": 2},
            {"groups": ["finance", "managers"], "stage": 2},
        ]
    }
    address = f"/approvals/{(await ask(whole_server, policy=policy))['id']}"
    await console.sign_in("ann")
    await grant(console, address)
    page = await console.read(address)
    assert "still missing: zoe" in page
    assert "named by the policy" in page
    assert "Groups held then: finance, managers" in page
    assert page.index("asked now") < page.index("asked later")

    later = {"requirements": [{"users": ["zoe"]}, {"groups": ["finance"], "stage": 2}]}
    other = await ask(whole_server, policy=later)
    page = await console.read(f"/approvals/{other['id']}")
    said = (
        "You are asked in stage 2, and stage 1 is not complete yet. Your groups: finance, managers."
    )
    assert said in page
    refused: Any = await console.send(f"/approvals/{other['id']}/grant", digest=other["digest"])
    assert refused.status_code == 403
    assert said in refused.text


async def test_the_next_round_shows_the_last_and_what_was_asked_for(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    first = await ask(whole_server, payload={"euros": 120})
    execution = first["id"].rpartition(".")[0]
    await console.sign_in("ann")
    sent = await console.send(
        f"/approvals/{first['id']}/request-changes", digest=first["digest"], comment="Cheaper"
    )
    assert sent.status_code == 303
    second = await ask(
        whole_server, "Pay less", {"euros": 90}, executionId=execution, description="New offer"
    )
    page = await console.read(f"/approvals/{second['id']}")
    assert "Compared with round 1" in page
    assert "Cheaper" in page
    table = page.split('class="differences"')[1].split("</table>")[0]
    assert set(re.findall(r'scope="row">([^<]+)<', table)) == {"title", "description", "euros"}
