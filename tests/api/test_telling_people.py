"""A whole server that tells people by e-mail: from a request to the mail, and what it leads to."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from application.command_handling.outcomes import Accepted
from application.directory import KnownPerson
from domain.directory.state import PersonSource
from domain.values import Principal, Role
from tests.api.channels.email.postbox import Postbox, postbox
from tests.api.test_telling_programs import GRANT, ask, send
from tests.api.whole_server import WholeServer
from tests.domain.people import ADAM, ANN, BOB, CLEO, OLIVIA, approver, principal
from tests.support import forked
from tests.support.patience import HANGS

SITE = "https://placet.example.com"
SUBSTITUTE = (
    """mutation ($input: SubstituteInput!) { setSubstitute(input: $input) { code message } }"""
)
SENT = """query ($status: [MessageStatus!]) { messages(status: $status) { totalCount } }"""


def mailing(box: Postbox) -> dict[str, Any]:
    """Return the settings of a server that sends its mails there."""
    sender = "Placet <placet@example.com>"
    return {"smtp_url": box.url, "mail_from": sender, "public_url": SITE, "smtp_timeout": 5}


async def record(server: WholeServer, *people: Principal) -> None:
    """Record people with an address each, as an administrator does."""
    for each in people:
        known = KnownPerson(
            id=each.id,
            name=each.name,
            emails=(f"{each.id}@example.com",),
            groups=each.groups,
            roles=each.roles,
            source=PersonSource.ADMIN,
        )
        assert isinstance(await server.directory.record(ADAM, known), Accepted)


async def until_sent(server: WholeServer, admin: str, count: int) -> None:
    """Wait until so many messages were sent, as an ADMIN sees it."""
    body = {"query": SENT, "variables": {"status": ["SENT"]}}
    async with asyncio.timeout(HANGS):
        while True:
            answer = (await server.post(body, admin)).json()
            if answer["data"]["messages"]["totalCount"] == count:
                return
            await asyncio.sleep(0.01)


async def until_passed(url: str) -> None:
    """Wait until the process manager has saved that it has seen all events."""
    passed = """
        SELECT position = (SELECT max(notification_id) FROM execution_events) FROM outbox_state
    """
    async with asyncio.timeout(HANGS):
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute(passed).fetchone() != (True,):
                await asyncio.sleep(0.02)


async def test_those_who_may_decide_get_a_mail_and_who_started_it_gets_the_answer(
    log_url: str,
) -> None:
    with postbox() as box:
        async with WholeServer.open(log_url, **mailing(box)) as server:
            await record(server, ANN, BOB, CLEO, OLIVIA)
            approval = await ask(server)
            asked = await box.arrived(2)
            decision = {"approvalId": approval["id"], "digest": approval["digest"]}
            await send(server, "ann", GRANT, decision)
            *_, granted = await box.arrived(3)
            # The link leads to the page, which asks who it is. Opening it decides nothing.
            link = f"{SITE}/approvals/{approval['id']}"
            page = await server.http.get(link.removeprefix(SITE))
            assert page.status_code == 401
            # So does the link to the preferences, which each mail has.
            assert (await server.http.get("/preferences")).status_code == 401
            assert (await server.http.get("/nowhere")).status_code == 404
    assert {mail.recipient for mail in asked[:2]} == {"ann@example.com", "bob@example.com"}
    for mail in asked[:2]:
        assert mail.mail["Subject"] == "[Placet] Trip to @everyone"
        assert link in mail.body("plain")
    assert granted.recipient == "olivia@example.com"
    assert "The approval is granted." in granted.body("plain")
    assert {mail.mail["References"] for mail in box.received} == {f"<{approval['id']}@example.com>"}


async def test_a_server_without_mail_tells_nobody_later_of_what_was_asked_meanwhile(
    log_url: str,
) -> None:
    with postbox() as box:
        async with WholeServer.open(log_url) as server:
            await record(server, ANN)
            before = await ask(server)
            await until_passed(log_url)
        async with WholeServer.open(log_url, **mailing(box)) as server:
            after = await ask(server)
            await box.arrived(1)
    assert before["id"] != after["id"]
    assert [mail.mail["References"] for mail in box.received] == [f"<{after['id']}@example.com>"]


async def test_a_rebuild_of_what_people_see_tells_nobody_again(log_url: str) -> None:
    with postbox() as box:
        async with WholeServer.open(log_url, **mailing(box)) as server:
            await record(server, ANN)
            admin = await server.keys.create("adam", roles=[Role.ADMIN])
            await ask(server)
            await until_sent(server, admin, 1)
        env = {"PLACET_DATABASE_URL": log_url}
        for model in ("executions", "approvals", "decisions", "events"):
            rebuild = (forked.PLACET_SERVER, "rebuild", model)
            done = await asyncio.to_thread(forked.run, *rebuild, env=env)
            assert done.returncode == 0, done.stderr
        async with WholeServer.open(log_url, **mailing(box)) as server:
            after = await ask(server)
            await until_sent(server, admin, 2)
    assert len(box.received) == 2
    assert box.received[1].mail["References"] == f"<{after['id']}@example.com>"


async def test_who_stands_in_for_an_absent_person_is_told_too(log_url: str) -> None:
    """Substitutes take effect within a second, so what is asked after that is told to them."""
    with postbox() as box:
        async with WholeServer.open(log_url, **mailing(box)) as server:
            await record(server, ANN, CLEO)
            ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
            given = {"substitute": "cleo", "endsAt": ends}
            assert (await send(server, "ann", SUBSTITUTE, given))["code"] is None
            approval = await ask(server)
            await box.arrived(2)
            admin = await server.keys.create("adam", roles=[Role.ADMIN])
            await until_sent(server, admin, 2)
    assert {mail.recipient for mail in box.received} == {"ann@example.com", "cleo@example.com"}
    assert {mail.mail["References"] for mail in box.received} == {f"<{approval['id']}@example.com>"}


async def test_the_fallback_group_gets_a_mail_of_what_too_few_known_people_can_decide(
    log_url: str,
) -> None:
    rita = principal("rita", Role.AUDITOR, groups=("helpers",))
    with postbox() as box:
        settings = {**mailing(box), "fallback_group": "helpers"}
        async with WholeServer.open(log_url, **settings) as server:
            # Sam is in the group and may not see the approval, so he is not told.
            await record(server, CLEO, OLIVIA, rita, approver("sam", "helpers"))
            approval = await ask(server)
            [told] = await box.arrived(1)
            await record(server, ANN)
            await ask(server)
            await box.arrived(2)
            admin = await server.keys.create("adam", roles=[Role.ADMIN])
            await until_sent(server, admin, 2)
    assert told.recipient == "rita@example.com"
    assert "needs more people than are known who may decide it" in told.body("plain")
    assert f"{SITE}/approvals/{approval['id']}" in told.body("plain")
    assert [mail.recipient for mail in box.received[1:]] == ["ann@example.com"]
