"""The page of one approval, and decisions that are made on it, without a browser."""

import json
import re
from typing import Any

import psycopg

from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.console.console_client import ConsoleClient

DIGEST = re.compile(r'name="digest" value="([^"]+)"')


async def decide(console: ConsoleClient, approval: str, verdict: str, **fields: Any) -> Any:
    page = (await console.get(f"/approvals/{approval}")).text
    found = DIGEST.search(page)
    given = {"digest": "" if found is None else found[1], **fields}
    return await console.send(f"/approvals/{approval}/{verdict}", **given)


async def test_the_digest_of_the_form_is_that_of_the_approval(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server)
    page = (await console.get(f"/approvals/{approval['id']}")).text
    assert DIGEST.findall(page) == [approval["digest"]]


async def test_a_decision_is_recorded_and_leads_back_to_the_page(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server)
    answer = await decide(console, approval["id"], "grant", comment="All right")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/approvals/{approval['id']}")
    page = await console.read(answer.headers["location"])
    assert "You approved this." in page
    assert "All right" in page
    assert 'name="digest"' not in page, "there is nothing left to decide"


async def test_a_double_click_decides_once(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(
        whole_server, policy={"requirements": [{"groups": ["finance"], "count": 2}]}
    )
    before = whole_server.recorded()
    form = {"digest": approval["digest"], "key": "the page's"}
    answers = [
        await console.send(f"/approvals/{approval['id']}/grant", **form),
        await console.send(f"/approvals/{approval['id']}/grant", **form),
    ]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert whole_server.recorded() == before + 1


async def test_a_decision_about_something_else_than_was_shown_is_refused(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval, other = await ask(whole_server), await ask(whole_server)
    answer = await decide(
        console, approval["id"], "grant", digest=other["digest"], comment="Was typed"
    )
    assert answer.status_code == 409
    assert "not what you were shown" in answer.text
    assert "Was typed</textarea>" in answer.text
    assert "Waiting" in answer.text


async def test_a_rejection_without_a_reason_asks_for_one(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server)
    for verdict in ("reject", "request-changes"):
        answer = await decide(console, approval["id"], verdict, comment="  ")
        assert answer.status_code == 422
        assert "Say why" in answer.text
    assert (await decide(console, approval["id"], "reject", comment="No")).status_code == 303


async def test_what_somebody_else_decided_meanwhile_is_said_and_nothing_typed_is_lost(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server)
    open_page = (await console.get(f"/approvals/{approval['id']}")).text
    [digest] = DIGEST.findall(open_page)
    await reject(whole_server, approval)
    answer = await console.send(
        f"/approvals/{approval['id']}/grant", digest=digest, comment="Long <thoughts>"
    )
    assert answer.status_code == 409
    assert "This was decided meanwhile" in answer.text
    assert "cleo" in answer.text, "it says who decided"
    assert "Long &lt;thoughts&gt;</textarea>" in answer.text


async def reject(server: WholeServer, approval: dict[str, str]) -> None:
    """Reject as a second member of finance, over the API."""
    key = await server.keys.create("cleo", roles=[Role.APPROVER], groups=["finance"])
    mutation = "mutation ($input: RejectionInput!) { rejectApproval(input: $input) { __typename } }"
    given = {"approvalId": approval["id"], "digest": approval["digest"], "comment": "No"}
    answer = await server.post({"query": mutation, "variables": {"input": given}}, key)
    assert answer.json()["data"]["rejectApproval"]["__typename"] == "Accepted"


async def test_a_decision_is_taken_back_and_made_anew(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(
        whole_server, policy={"requirements": [{"groups": ["finance"], "count": 2}]}
    )
    await decide(console, approval["id"], "grant", key="first")
    assert "Others still have to agree" in await console.read(f"/approvals/{approval['id']}")
    assert (await console.send(f"/approvals/{approval['id']}/take-back")).status_code == 303
    page = await console.read(f"/approvals/{approval['id']}")
    assert "taken back" in page
    answer = await decide(console, approval["id"], "reject", comment="On reflection", key="second")
    assert answer.status_code == 303
    assert "You rejected this." in await console.read(f"/approvals/{approval['id']}")


async def test_nobody_decides_here_what_the_api_would_refuse(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    for_ann = await ask(whole_server, started={"onBehalfOf": "ann"})
    legal = await ask(whole_server, policy={"requirements": [{"groups": ["legal"]}]})
    before = whole_server.recorded()
    assert "Four eyes" in await console.read(f"/approvals/{for_ann['id']}")
    refused = await decide(console, for_ann["id"], "grant", digest=for_ann["digest"])
    assert refused.status_code == 403
    assert (await console.get(f"/approvals/{legal['id']}")).status_code == 404
    unseen = await decide(console, legal["id"], "grant", digest=legal["digest"])
    assert unseen.status_code == 404
    await console.send("/sign-out")
    await console.sign_in("olivia")
    page = await console.read(f"/approvals/{legal['id']}")
    assert "Your roles do not allow deciding" in page
    operators = await decide(console, legal["id"], "grant", digest=legal["digest"])
    assert operators.status_code == 403
    assert whole_server.recorded() == before


async def test_the_page_shows_what_changed_since_the_workflow_asked_last(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    first = await ask(whole_server, payload={"euros": 120, "to": "Nordlicht", "gone": 1})
    await decide(console, first["id"], "grant")
    # The inbox waits until the read model has the decision.
    await console.read("/inbox")
    second = await ask(whole_server, payload={"euros": 130, "to": "Nordlicht", "new": [2]})
    page = await console.read(f"/approvals/{second['id']}")
    assert "Compared with the last time" in page
    assert "3 differences" in page
    table = page.split('class="differences"')[1].split("</table>")[0]
    assert re.findall(r'scope="row">([^<]+)<', table) == ["euros", "gone", "new.1"]


async def test_people_decide_while_a_read_model_is_rebuilt(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server)
    with psycopg.connect(whole_server.url) as connection:
        connection.execute("UPDATE projection_positions SET version = 0 WHERE name = 'approvals'")
    assert (await console.get("/inbox")).status_code == 503
    assert (await decide(console, approval["id"], "grant")).status_code == 303
    assert "You approved this." in await console.read(f"/approvals/{approval['id']}")


async def test_everything_that_the_digest_covers_is_on_the_page(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    policy = {
        "requirements": [{"groups": ["finance"]}, {"users": ["zoe"], "stage": 2}],
        "rejections": 2,
        "validFor": "PT36H",
        "commentRequired": True,
    }
    approval = await ask(
        whole_server,
        "The title",
        {"deep": {"list": [{"a": 1}, {"a": "x", "b": None}], "flag": False}},
        description="The description",
        policy=policy,
        started={"onBehalfOf": "employee-9"},
    )
    address = f"/approvals/{approval['id']}"
    page = await console.read(address)
    document = await console.read(f"{address}/document")
    shown = json.loads(document.split('aria-label="JSON">')[1].split("</pre>")[0])
    assert shown["policy"]["validFor"]

    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        if isinstance(value, list):
            return [leaf for one in value for leaf in leaves(one)]
        return [] if value is None or isinstance(value, bool) else [str(value)]

    for leaf in leaves({k: v for k, v in shown.items() if k != "policy"}):
        assert leaf in page, leaf
    for words in (
        "finance",
        "zoe",
        "Stage 2",
        "2 rejections",
        "1 day, 12 hours",
        "needs a comment",
    ):
        assert words in page, words


async def test_the_terms_of_time_are_in_words_and_exact(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    policy = {
        "requirements": [{"groups": ["finance"]}],
        "within": "PT90M",
        "remindBefore": ["PT30M", "PT61S"],
        "onExpiry": "ESCALATE",
        "escalateTo": ["managers"],
    }
    approval = await ask(whole_server, "The title", policy=policy)
    address = f"/approvals/{approval['id']}"
    terms = (await console.read(address)).split('id="further"')[1].split("</section>")[0]
    german = await console.read(address, **{"accept-language": "de"})

    for words in (
        "1 hour, 30 minutes",
        "30 minutes",
        "1 minute, 1 second",
        "Others may decide too.",
        "managers",
    ):
        assert words in terms, words
    assert "ESCALATE" not in terms
    assert "PT" not in terms
    assert re.search(
        r"Deadline</dt>\s*<dd>\s*<bdi[^>]*>\d+ \w+ \d{4}, \d\d:\d\d:\d\d\.\d{6} UTC<", terms
    )
    for words in ("1 Stunde, 30 Minuten", "1 Minute, 1 Sekunde", "Andere dürfen mitentscheiden."):
        assert words in german, words


async def test_a_deadline_at_the_end_of_time_is_shown_in_every_zone(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("ann")
    approval = await ask(whole_server, "The title", deadline="9999-12-31T23:59:59.999999Z")
    address = f"/approvals/{approval['id']}"
    for zone in ("Pacific/Kiritimati", "America/Los_Angeles"):
        console.http.cookies.set("placet_zone", zone, domain="localhost.local")
        for page in ("/inbox", address, f"/decide?verdict=grant&id={approval['id']}"):
            assert "The title" in await console.read(page), (zone, page)
        assert "31 Dec 9999" in await console.read(address)


async def test_an_approval_that_is_not_there_or_malformed_is_not_found(
    console: ConsoleClient,
) -> None:
    await console.sign_in("ann")
    for wrong in ("x", "00000000-0000-0000-0000-000000000000.1", "%00", "a" * 300):
        assert (await console.get(f"/approvals/{wrong}")).status_code == 404
