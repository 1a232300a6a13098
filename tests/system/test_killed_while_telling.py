"""A server is killed while it sends mails: each arrives, few twice, and those with the same id."""

import asyncio
from collections import Counter
from pathlib import Path
from time import sleep
from typing import Any

import psycopg

from api.channels.webhooks.channel import WebhookChannel
from api.channels.webhooks.signatures import new_secret
from application.webhooks.registrations import Webhooks
from domain.values import Role
from tests.api.channels.email.postbox import postbox
from tests.api.channels.receiver import Receiver
from tests.api.test_telling_people import mailing, record
from tests.api.test_telling_programs import ask
from tests.api.whole_server import WholeServer
from tests.domain.people import principal
from tests.support.forked import stack
from tests.support.patience import HANGS

MAILS = 80
IN_FLIGHT = 24
"""The most mails that can have been taken by the SMTP server, while this was not recorded yet."""

WEBHOOKS, MESSAGES = 50, 1_000
POSTS_IN_FLIGHT = WebhookChannel.concurrency + 500
"""As for mails. Outcomes are recorded up to 500 at once."""


async def test_a_kill_while_mails_are_sent_loses_none(log_url: str, tmp_path: Path) -> None:
    with postbox() as box:
        away = {**mailing(box), "smtp_url": "smtp://127.0.0.1:1"}
        async with WholeServer.open(log_url, **away) as server:
            people = [
                principal(f"person-{number}", Role.APPROVER, groups=("finance",))
                for number in range(MAILS)
            ]
            await record(server, *people)
            await ask(server)
            await _until(log_url, "SELECT count(*) FROM outbox_messages", MAILS)
        with psycopg.connect(log_url) as connection:
            connection.execute("UPDATE outbox_messages SET due_at = clock_timestamp()")

        def slowly(_: Any) -> str:
            sleep(0.005)
            return "250 taken"

        box.answer = slowly
        settings = {**mailing(box), "database_url": log_url}
        with stack(tmp_path / "first", **settings) as first:
            await box.arrived(MAILS // 3)
            first.kill9()
        assert len(box.received) < MAILS
        with stack(tmp_path / "second", **settings):
            sent = "SELECT count(*) FROM outbox_messages WHERE status = 'SENT'"
            await _until(log_url, sent, MAILS)
    ids = Counter(mail.id for mail in box.received)
    assert len(ids) == MAILS
    assert {mail.recipient for mail in box.received} == {f"{p.id}@example.com" for p in people}
    assert sum(ids.values()) - MAILS <= IN_FLIGHT


async def test_a_kill_while_a_thousand_messages_are_posted_loses_none(
    log_url: str, tmp_path: Path
) -> None:
    async with Receiver.open() as receiver:
        # Its address is not allowed here, so all messages wait.
        async with WholeServer.open(log_url, webhook_allow="") as server:
            webhooks = Webhooks(server.pool)
            for number in range(WEBHOOKS):
                url = f"{receiver.url}/{number}"
                await webhooks.create(f"number {number}", url, new_secret())
            await asyncio.gather(*(ask(server) for _ in range(MESSAGES // WEBHOOKS)))
            failed = "SELECT count(*) FROM outbox_messages WHERE last_error IS NOT NULL"
            await _until(log_url, failed, MESSAGES)
        with psycopg.connect(log_url) as connection:
            connection.execute("UPDATE outbox_messages SET due_at = clock_timestamp()")

        settings: dict[str, Any] = {"database_url": log_url, "webhook_allow": "127.0.0.1"}
        with stack(tmp_path / "first", **settings) as first:
            await receiver.until(MESSAGES // 3)
            first.kill9()
        assert len(receiver.received) < MESSAGES
        with stack(tmp_path / "second", **settings):
            sent = "SELECT count(*) FROM outbox_messages WHERE status = 'SENT'"
            await _until(log_url, sent, MESSAGES)
    ids = Counter(each.headers["webhook-id"] for each in receiver.received)
    assert len(ids) == MESSAGES
    assert len({(each.path, each.event["id"]) for each in receiver.received}) == MESSAGES
    assert sum(ids.values()) - MESSAGES <= POSTS_IN_FLIGHT


async def _until(url: str, statement: Any, count: int) -> None:
    async with asyncio.timeout(HANGS):
        with psycopg.connect(url, autocommit=True) as connection:
            while connection.execute(statement).fetchone() != (count,):
                await asyncio.sleep(0.02)
