"""Webhooks in the database: their filters, their secrets, and how they end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from application.webhooks import registrations
from application.webhooks.event_types import TYPES
from application.webhooks.registrations import (
    DuplicateWebhookError,
    UnknownWebhookError,
    Webhook,
    Webhooks,
)
from domain.approvals import events
from domain.execution.event import Event

REQUESTED = "placet.approval.requested.v1"
HOUR = timedelta(hours=1)


@pytest.fixture
async def webhooks(log_url: str) -> AsyncIterator[Webhooks]:
    async with AsyncConnectionPool(log_url, min_size=1, open=False) as pool:
        yield Webhooks(pool)


async def made(webhooks: Webhooks, name: str = "erp", **rest: Any) -> Webhook:
    return await webhooks.create(name, "https://erp.example/", "whsec_1", **rest)


def test_every_event_about_an_approval_has_a_type() -> None:
    about = {
        each
        for each in vars(events).values()
        if isinstance(each, type) and issubclass(each, Event) and each.topic
    }
    assert about == set(TYPES)
    assert len(set(TYPES.values())) == len(TYPES)


async def test_a_webhook_gets_what_it_names_and_without_names_everything(
    webhooks: Webhooks,
) -> None:
    everything = await made(webhooks)
    assert everything.gets(REQUESTED, 1)
    assert everything.wants("travel", [])
    some = await made(
        webhooks, "some", types=[REQUESTED], workflows=["travel"], groups=[" finance", "cafe\u0301"]
    )
    assert some.gets(REQUESTED, 1)
    assert not some.gets("placet.approval.granted.v1", 1)
    assert some.wants("travel", ["legal", "finance"])
    assert some.wants("travel", ["caf\u00e9"]), "names are compared after NFC"
    assert not some.wants("travel", ["Finance"]), "and otherwise exactly"
    assert not some.wants("travel", [])
    assert not some.wants("Travel", ["finance"])


async def test_what_is_not_possible_is_refused_by_name(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="there is no type 'requested'; there are placet"):
        await made(webhooks, types=["requested"])
    with pytest.raises(ValueError, match="name"):
        await made(webhooks, "")
    with pytest.raises(ValueError, match="group"):
        await made(webhooks, groups=["a\nb"])
    with pytest.raises(ValueError, match="workflows has 101 entries"):
        await made(webhooks, workflows=[str(number) for number in range(101)])
    await made(webhooks)
    with pytest.raises(DuplicateWebhookError, match="named 'erp' already"):
        await made(webhooks)
    monkeypatch.setattr(registrations, "MAX_WEBHOOKS", 2)
    at_once = await asyncio.gather(
        *(made(webhooks, f"another {number}") for number in range(5)), return_exceptions=True
    )
    refused = [each for each in at_once if isinstance(each, ValueError)]
    assert [str(each) for each in refused] == [
        "there are 2 webhooks already; delete one before"
    ] * 4
    assert len(await webhooks.all()) == 2


async def test_after_a_rotation_two_secrets_are_valid_for_a_time(
    webhooks: Webhooks, log_url: str
) -> None:
    webhook = await made(webhooks)
    rotated = await webhooks.rotate(webhook.id, "whsec_2", overlap=HOUR, by="adam")
    assert rotated.rotated_by == "adam"
    assert rotated.previous_until is not None
    assert await webhooks.signing(webhook.id) == (rotated, ["whsec_2", "whsec_1"])
    with psycopg.connect(log_url) as connection:
        connection.execute("UPDATE webhooks SET previous_until = clock_timestamp()")
    _, secrets = await webhooks.signing(webhook.id) or (None, [])
    assert secrets == ["whsec_2"]
    await webhooks.rotate(webhook.id, "whsec_3", overlap=timedelta(0))
    _, secrets = await webhooks.signing(webhook.id) or (None, [])
    assert secrets == ["whsec_3"]
    for overlap in (timedelta(days=31), -HOUR):
        with pytest.raises(ValueError, match="0 to 30 days"):
            await webhooks.rotate(webhook.id, "whsec_4", overlap=overlap)


async def test_of_a_deleted_webhook_the_secrets_are_gone_and_the_name_is_free(
    webhooks: Webhooks, log_url: str
) -> None:
    webhook = await made(webhooks, by="adam")
    await webhooks.rotate(webhook.id, "whsec_2", overlap=HOUR)
    await webhooks.delete(webhook.id, "adam")
    assert await webhooks.signing(webhook.id) is None
    assert await webhooks.named("erp") is None
    assert await webhooks.with_id(webhook.id) is None
    with psycopg.connect(log_url) as connection:
        row = connection.execute(
            "SELECT secret, previous_secret, deleted_by, created_by FROM webhooks"
        ).fetchone()
    assert row == (None, None, "adam", "adam")
    for unknown in (webhook.id, uuid4()):
        with pytest.raises(UnknownWebhookError, match="there is no webhook"):
            await webhooks.delete(unknown)
        with pytest.raises(UnknownWebhookError):
            await webhooks.rotate(unknown, "whsec_3", overlap=HOUR)
    assert (await made(webhooks)).id != webhook.id


async def test_a_disabled_webhook_gets_nothing_and_says_why(webhooks: Webhooks) -> None:
    webhook = await made(webhooks)
    assert await webhooks.disable(webhook.id, "it answered 410 Gone")
    assert not await webhooks.disable(webhook.id, "again")
    [disabled] = await webhooks.all()
    assert disabled.disabled_reason == "it answered 410 Gone"
    assert not disabled.gets(REQUESTED, 1)
    assert await webhooks.in_use() == ([], 0)
    assert await webhooks.signing(webhook.id) is None


async def test_what_is_shown_has_no_secret(webhooks: Webhooks) -> None:
    webhook = await made(webhooks, groups=["b", "a"])
    assert webhook.shown()["groups"] == ["a", "b"]
    assert "whsec_" not in str(webhook.shown()) + repr(webhook)
