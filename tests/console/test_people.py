"""The pages of people, groups and substitutes, and who could decide on an approval's page."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.console.console_client import ConsoleClient
from tests.console.test_keys import sign_in

DAY = timedelta(days=1)


@pytest.fixture
async def maja(whole_server: WholeServer) -> AsyncIterator[ConsoleClient]:
    """A browser in which an approver of legal is signed in."""
    async with ConsoleClient.open(whole_server) as console:
        key = await whole_server.keys.create("maja", roles=[Role.APPROVER], groups=["legal"])
        await sign_in(console, key)
        yield console


@pytest.fixture
async def admin(whole_server: WholeServer) -> AsyncIterator[ConsoleClient]:
    """A browser in which an administrator is signed in."""
    async with ConsoleClient.open(whole_server) as console:
        await sign_in(console, await whole_server.keys.create("root", roles=[Role.ADMIN]))
        yield console


def tomorrow() -> str:
    return (datetime.now(UTC) + DAY).date().isoformat()


async def test_a_person_names_a_substitute_and_ends_it(
    maja: ConsoleClient, console: ConsoleClient
) -> None:
    set_ = await maja.send(
        "/substitutes", substitute="ann", until=tomorrow(), groups="legal", comment="<b>away</b>"
    )
    assert set_.status_code == 200, "ann is not known, which the page says"
    assert "ann is not known yet" in set_.text
    shown = await maja.read("/substitutes")
    assert "ann decides for maja" in shown
    assert "Groups: legal" in shown
    assert "<b>away</b>" in shown
    assert "<b>away</b>" not in (await maja.get("/substitutes")).text

    await console.sign_in("ann")
    seen = await console.read("/substitutes")
    assert "ann decides for maja" in seen
    assert "End: ann for maja" not in seen, "the substitute does not end it"
    refused = await console.send("/substitutes/end", of="maja", number="1")
    assert refused.status_code == 403

    for _ in range(2):
        assert (await maja.send("/substitutes/end", of="maja", number="1")).status_code == 303
    assert "There are no substitutes" in await maja.read("/substitutes")


@pytest.mark.parametrize(
    ("fields", "said", "status"),
    [
        ({"until": "soon"}, "Say which day", 422),
        ({"until": ""}, "Say which day", 422),
        ({"until": "2020-01-01"}, "it must be after now", 422),
        ({"until": "9999-12-31"}, "at most 366 days", 422),
        ({"substitute": "maja"}, "must be somebody else", 422),
        ({"substitute": ""}, "must not be empty", 422),
        ({"person": "ann"}, "needs the role ADMIN", 403),
    ],
)
async def test_what_is_wrong_is_named_and_what_was_typed_stays(
    maja: ConsoleClient, fields: dict[str, str], said: str, status: int
) -> None:
    given = {"substitute": "ann", "until": tomorrow(), "comment": "typed before", **fields}
    answer = await maja.send("/substitutes", **given)
    assert answer.status_code == status
    assert said in answer.text.split('role="alert"')[1].split("</p>")[0]
    assert "typed before" in answer.text


async def test_people_and_groups_are_listed_and_an_administrator_deactivates(
    admin: ConsoleClient, maja: ConsoleClient, console: ConsoleClient
) -> None:
    await admin.send("/substitutes", substitute="ann", person="maja", until=tomorrow())
    await maja.send("/substitutes", substitute="ann", until=tomorrow())
    found = await admin.read("/people?q=MAJ")
    assert "maja" in found
    assert "Groups: legal" in found
    assert "maja" not in await admin.read("/people?q=nobody-such")
    assert "maja" in await admin.read("/people?group=legal")
    assert re.search(r"legal.*?1 person", await admin.read("/people/groups"), re.DOTALL)
    assert "Deactivate…" not in await maja.read("/people")
    assert (await maja.send("/people/deactivate", person="maja")).status_code == 403
    assert (await admin.send("/people/erase", person="maja")).status_code == 404
    assert (await admin.send("/people/deactivate", person="nobody")).status_code == 404

    for _ in range(2):
        gone = await admin.send("/people/deactivate", person="maja", reason="left")
        assert gone.status_code == 303
    assert "Deactivated" in await admin.read("/people?q=maja")
    assert (await maja.get("/people")).status_code == 401, "the session is over"
    assert (await admin.send("/people/reactivate", person="maja")).status_code == 303
    assert (await maja.get("/people")).status_code == 200
    await console.sign_in("engine")
    for address in ("/people", "/people/groups", "/substitutes"):
        assert (await console.get(address)).status_code == 403, address


async def test_the_page_of_an_approval_says_who_could_decide(
    whole_server: WholeServer, maja: ConsoleClient
) -> None:
    await maja.send("/substitutes", substitute="ann", until=tomorrow())
    started = await whole_server.post(
        {"query": 'mutation { startExecution(input: { workflow: "w" }) { execution { id } } }'}
    )
    id_ = started.json()["data"]["startExecution"]["execution"]["id"]
    asked = (
        f'mutation {{ requestApproval(input: {{ executionId: "{id_}", key: "k", title: "T",'
        ' payload: 1, policy: { requirements: [{ count: 1, groups: ["legal"] }] } }) {'
        " approval { id } } }"
    )
    answer = await whole_server.post({"query": asked}, token="engine")
    approval = answer.json()["data"]["requestApproval"]["approval"]["id"]

    page = await maja.read(f"/approvals/{approval}")

    could = page.split("Who could decide now")[1].split("</p>")[0]
    assert "maja" in could
