"""A whole server that tells programs: webhooks, and the services of the library apprise."""

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import web

from application.command_handling.outcomes import Accepted
from application.directory import KnownPerson
from domain.directory.state import PersonSource
from domain.values import Role
from tests.api.channels.receiver import Receiver, answering
from tests.api.schema.test_webhooks import CREATE
from tests.api.whole_server import START, WholeServer
from tests.domain.people import ADAM, ANN, BOB
from tests.support import forked
from tests.support.patience import HANGS

REQUEST = """mutation ($input: RequestApprovalInput!) {
    requestApproval(input: $input) { __typename ... on Accepted { approval { id digest } } }
}"""
RESEND = """mutation ($ids: [ID!], $channel: String) {
    resendMessages(ids: $ids, channel: $channel) { resent }
}"""
GRANT = """mutation ($input: DecisionInput!) { grantApproval(input: $input) { __typename } }"""


async def send(server: WholeServer, token: str, document: str, given: dict[str, Any]) -> Any:
    answer = await server.post({"query": document, "variables": {"input": given}}, token)
    body = answer.json()
    assert "errors" not in body, body
    [value] = body["data"].values()
    return value


async def ask(server: WholeServer) -> Any:
    started = await send(server, "olivia", START, {"workflow": "travel"})
    asked = await send(
        server,
        "engine",
        REQUEST,
        {
            "executionId": started["execution"]["id"],
            "key": "permit",
            "title": "Trip to @everyone",
            "payload": {"cost": 1},
            "policy": {"requirements": [{"groups": ["finance"]}]},
        },
    )
    return asked["approval"]


async def try_at_once(url: str) -> None:
    """Wait until the failure is recorded, and make the message due."""
    async with asyncio.timeout(HANGS):
        while True:
            with psycopg.connect(url) as connection:
                done = connection.execute(
                    "UPDATE outbox_messages SET due_at = clock_timestamp()"
                    " WHERE last_error IS NOT NULL RETURNING last_error"
                ).fetchall()
            if done:
                assert done == [("the receiver answered 500",)]
                return
            await asyncio.sleep(0.01)


async def test_a_webhook_is_told_again_under_the_same_id_until_it_has_it(log_url: str) -> None:
    async def fails_once(request: web.Request) -> web.StreamResponse:
        receiver.answer = answering(204)
        return await answering(500)(request)

    options = {"webhook_allow": "127.0.0.1", "public_url": "https://placet.example/"}
    async with Receiver.open() as receiver, WholeServer.open(log_url, **options) as server:
        admin = await server.keys.create("adam", roles=[Role.ADMIN])
        given = {"name": "erp", "url": receiver.url, "groups": ["finance"]}
        made = await send(server, admin, CREATE, given)
        receiver.answer = fails_once
        approval = await ask(server)
        await receiver.until(1)
        await try_at_once(log_url)
        first, again = await receiver.until(2)
        decision = {"approvalId": approval["id"], "digest": approval["digest"]}
        await send(server, "ann", GRANT, decision)
        *_, granted = await receiver.until(3)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    assert first.signed_with(made["secret"])
    assert again.signed_with(made["secret"])
    assert first.event["type"] == "placet.approval.requested.v1"
    assert first.event["source"] == "https://placet.example"
    link = f"https://placet.example/approvals/{approval['id']}"
    assert first.event["data"]["link"] == link
    assert granted.event["type"] == "placet.approval.granted.v1"
    assert granted.headers["webhook-id"] != again.headers["webhook-id"]


async def test_a_dead_message_to_a_webhook_is_sent_again_under_the_same_id(log_url: str) -> None:
    async with Receiver.open() as receiver:
        options = {"webhook_allow": "127.0.0.1"}
        async with WholeServer.open(log_url, **options) as server:
            admin = await server.keys.create("adam", roles=[Role.ADMIN])
            made = await send(server, admin, CREATE, {"name": "erp", "url": receiver.url})
            receiver.answer = answering(500)
            await ask(server)
            await receiver.until(1)
            id_ = await dead_letter(log_url)
            receiver.answer = answering(204)
            for count, given in ((2, {"ids": [id_]}), (3, {"channel": "webhook"})):
                body = {"query": RESEND, "variables": given}
                answer = (await server.post(body, admin)).json()
                assert answer["data"]["resendMessages"] == {"resent": 1}
                await receiver.until(count)
                id_ = await dead_letter(log_url)
            env = {"PLACET_DATABASE_URL": log_url}
            resend = ("outbox", "resend", id_)
            done = await asyncio.to_thread(forked.run, forked.PLACET_SERVER, *resend, env=env)
            assert done.stdout == "1 messages are sent again\n", done.stderr
            received = await receiver.until(4)
    assert {each.headers["webhook-id"] for each in received} == {id_}
    assert len({each.body for each in received}) == 1
    assert all(each.signed_with(made["secret"]) for each in received)


async def dead_letter(url: str) -> str:
    """Wait until what came of a message is recorded, and make it a dead letter. Return its id."""
    statement = """
        UPDATE outbox_messages SET status = 'DEAD', ended_at = clock_timestamp()
        WHERE status = 'SENT' OR last_error IS NOT NULL RETURNING id::text
    """
    async with asyncio.timeout(HANGS):
        while True:
            with psycopg.connect(url) as connection:
                if row := connection.execute(statement).fetchone():
                    return str(row[0])
            await asyncio.sleep(0.01)


async def test_a_server_that_was_killed_sends_what_it_had_not_sent(log_url: str) -> None:
    options = {"webhook_allow": "127.0.0.1"}
    async with Receiver.open() as receiver:
        async with WholeServer.open(log_url, **options) as server:
            admin = await server.keys.create("adam", roles=[Role.ADMIN])
            await send(server, admin, CREATE, {"name": "erp", "url": receiver.url})
            await ask(server)
            await receiver.until(1)
        with psycopg.connect(log_url) as connection:
            # As if it had ended after the receiver had the message, and before this was recorded.
            connection.execute(
                "UPDATE outbox_messages SET status = 'WAITING', ended_at = NULL,"
                " claimed_by = gen_random_uuid(), due_at = clock_timestamp() + interval '15 min'"
            )
        async with WholeServer.open(log_url, **options):
            first, again = await receiver.until(2)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_group_is_told_by_apprise(log_url: str, tmp_path: Path) -> None:
    async with Receiver.open() as receiver:
        url = receiver.url.replace("http://", "json://")
        file = tmp_path / "apprise.toml"
        file.write_text(f'[groups]\nfinance = ["{url}/finance"]\nlegal = ["{url}/legal"]\n')
        async with WholeServer.open(log_url, apprise=file) as server:
            approval = await ask(server)
            await receiver.until(1)
            decision = {"approvalId": approval["id"], "digest": approval["digest"]}
            await send(server, "ann", GRANT, decision)
            asked, granted = await receiver.until(2)
    assert {asked.path, granted.path} == {"/finance"}
    assert asked.event["title"] == "Approval needed: Trip to @\u200beveryone"
    assert asked.event["message"].endswith(f"http://127.0.0.1:8000/approvals/{approval['id']}")
    assert "cost" not in asked.event["message"]
    assert granted.event["title"] == "Approval granted: Trip to @\u200beveryone"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_person_is_told_by_apprise_once(log_url: str, tmp_path: Path) -> None:
    async with Receiver.open() as receiver:
        file = tmp_path / "apprise.toml"
        file.write_text(f'[people]\nann = ["{receiver.url.replace("http://", "json://")}/ann"]\n')
        async with WholeServer.open(log_url, apprise=file) as server:
            for person in (ANN, BOB):
                known = KnownPerson(
                    id=person.id,
                    name=person.name,
                    groups=person.groups,
                    roles=person.roles,
                    source=PersonSource.ADMIN,
                )
                assert isinstance(await server.directory.record(ADAM, known), Accepted)
            await ask(server)
            [asked] = await receiver.until(1)
            async with asyncio.timeout(HANGS):
                while await outbox(server) != [("apprise", "ann", "SENT")]:
                    await asyncio.sleep(0.01)
    assert asked.path == "/ann"
    assert asked.event["title"] == "Approval needed: Trip to @\u200beveryone"


async def outbox(server: WholeServer) -> list[tuple[str, ...]]:
    async with server.pool.connection() as connection:
        statement = "SELECT channel, recipient, status FROM outbox_messages ORDER BY 1, 2"
        return await (await connection.execute(statement)).fetchall()
