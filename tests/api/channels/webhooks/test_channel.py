"""From an event of the log to what a receiver gets, and what its answer does."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api.channels.webhooks import channel
from api.channels.webhooks.administration import WebhookAdministration
from api.channels.webhooks.channel import WebhookChannel
from api.channels.webhooks.sender import WebhookSender
from api.channels.webhooks.targets import Targets
from application.event_store.chained_events import LoggedEvent
from application.notifications.channel import DeliveryFailed, DeliverySkipped
from application.notifications.message import Message, NewMessage
from application.webhooks.registrations import Webhook, Webhooks
from application.webhooks.source import WebhookSource, recipient_of
from domain.approvals.events import ApprovalGranted, ApprovalRequested
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval
from domain.execution.event import Event
from domain.values import Label
from tests.api.channels.receiver import Receiver, answering
from tests.application.server_process import ServerProcess, grant
from tests.domain.people import ANN

ALLOWED = Targets.parse("127.0.0.0/8")
DOCS = Path(__file__).parents[4] / "docs/notifications.md"
PUBLIC_URL = "https://placet.example"
LEGAL = Policy(requirements=(Requirement(groups=("legal",)),))


class Desk:
    """A server process with webhooks, and a receiver."""

    def __init__(self, process: ServerProcess, receiver: Receiver) -> None:
        self.process, self.receiver = process, receiver
        self.webhooks = Webhooks(process.pool)
        self.administration = WebhookAdministration(self.webhooks, ALLOWED)
        self.source = WebhookSource(self.webhooks, process.reader)
        self.sender = WebhookSender(ALLOWED)
        self.channel = WebhookChannel(self.webhooks, process.reader, self.sender, PUBLIC_URL)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["Desk"]:
        async with ServerProcess.open(url) as process, Receiver.open() as receiver:
            desk = cls(process, receiver)
            yield desk
            await desk.channel.close()

    async def create(self, name: str = "erp", **rest: Any) -> tuple[Webhook, str]:
        return await self.administration.create(name, f"{self.receiver.url}/{name}", **rest)

    async def ask(self, **rest: Any) -> Approval:
        execution = await self.process.start(labels=(Label(name="city", value="Bogotá"),))
        return await self.process.ask(execution.id, **rest)

    async def event(self, execution_id: UUID, type_: type[Event]) -> LoggedEvent:
        events = await self.process.reader.history(execution_id)
        [found] = [each for each in events if isinstance(each.recorded.event, type_)]
        return found

    async def told(self, approval: Approval, type_: type[Event]) -> list[NewMessage]:
        event = await self.event(approval.id.execution_id, type_)
        return list(await self.source.messages(event))

    async def deliver(self, new: NewMessage) -> None:
        await self.channel.deliver(sent(new))


def sent(new: NewMessage) -> Message:
    return Message(
        id=new.id,
        kind=new.kind,
        recipient=new.recipient,
        channel=new.channel,
        execution_id=new.execution_id,
        ordinal=new.ordinal,
        version=new.version,
        position=new.position,
        created_at=datetime.now(UTC),
        tries=1,
    )


@pytest.fixture
async def desk(log_url: str) -> AsyncIterator[Desk]:
    async with Desk.open(log_url) as desk:
        yield desk


async def test_a_receiver_gets_a_signed_cloud_event(desk: Desk) -> None:
    _, secret = await desk.create()
    approval = await desk.ask()
    [new] = await desk.told(approval, ApprovalRequested)
    await desk.deliver(new)
    [received] = desk.receiver.received
    assert received.signed_with(secret)
    assert received.headers["webhook-id"] == str(new.id)
    assert received.headers["content-type"] == "application/cloudevents+json"
    event = received.event
    data = event.pop("data")
    recorded = (await desk.event(approval.id.execution_id, ApprovalRequested)).recorded
    assert datetime.fromisoformat(event.pop("time")) == recorded.at
    assert event == {
        "specversion": "1.0",
        "id": f"{approval.id.execution_id}/2",
        "source": PUBLIC_URL,
        "type": "placet.approval.requested.v1",
        "subject": str(approval.id),
        "datacontenttype": "application/json",
    }
    assert data["title"] == "Trip"
    assert data["workflow"] == "travel"
    assert data["labels"] == [{"name": "city", "value": "Bogotá"}]
    assert data["groups"] == ["finance"]
    assert (data["status"], data["resolved"]) == ("PENDING", False)
    assert data["digest"] == approval.digest
    assert data["link"] == f"{PUBLIC_URL}/approvals/{approval.id}"
    assert "payload" not in data
    [example] = re.findall(r"^```json\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    documented = json.loads(example)
    assert documented.pop("data").keys() == data.keys()
    assert documented.keys() - {"time"} == event.keys()


async def test_content_is_sent_only_if_it_was_asked_for(desk: Desk) -> None:
    await desk.create("with", include_payload=True)
    await desk.create("without")
    approval = await desk.ask(payload={"iban": "DE02"}, description="For the fair")
    await desk.process.do(grant(approval, comment="It is cheap"))
    for type_ in (ApprovalRequested, ApprovalGranted):
        for new in await desk.told(approval, type_):
            await desk.deliver(new)
    content = {each.path: each.body.decode() for each in desk.receiver.received}
    for text in ("DE02", "For the fair", "It is cheap"):
        assert text in content["/with"]
        assert text not in content["/without"]


async def test_a_body_is_as_it_was_right_after_the_event(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.create()
    approval = await desk.ask()
    [requested] = await desk.told(approval, ApprovalRequested)
    await desk.deliver(requested)
    await desk.process.do(grant(approval))
    with monkeypatch.context() as patch:
        # As in an execution that is too long to be folded whole.
        patch.setattr(channel, "SHORT", 0)
        await desk.deliver(requested)
    [granted] = await desk.told(approval, ApprovalGranted)
    await desk.deliver(granted)
    first, again, after = desk.receiver.received
    assert first.body == again.body
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    data = after.event["data"]
    assert (data["status"], data["resolved"], data["by"]["id"]) == ("GRANTED", True, ANN.id)


async def test_a_webhook_is_told_of_what_it_names_and_happens_after_it_was_made(
    desk: Desk,
) -> None:
    before = await desk.ask()
    everything, _ = await desk.create("everything")
    legal, _ = await desk.create("legal", groups=["legal"])
    await desk.create("grants", types=["placet.approval.granted.v1"])
    await desk.create("other", workflows=["payments"])
    finance_asked, legal_asked = await desk.ask(), await desk.ask(policy=LEGAL)

    async def recipients(approval: Approval) -> set[str]:
        return {each.recipient for each in await desk.told(approval, ApprovalRequested)}

    assert await recipients(before) == set()
    assert await recipients(finance_asked) == {recipient_of(everything.id)}
    assert await recipients(legal_asked) == {recipient_of(everything.id), recipient_of(legal.id)}
    # One that is made now gets the very next event, although the others were read already.
    late, _ = await desk.create("late")
    assert recipient_of(late.id) in await recipients(await desk.ask())


async def test_an_event_makes_the_same_message_however_often_it_is_read(desk: Desk) -> None:
    await desk.create()
    approval = await desk.ask()
    [one] = await desk.told(approval, ApprovalRequested)
    [other] = await desk.told(approval, ApprovalRequested)
    assert one.id == other.id


async def test_what_an_answer_means(desk: Desk) -> None:
    await desk.create()
    [new] = await desk.told(await desk.ask(), ApprovalRequested)
    for answer, says, retry_after in (
        (answering(500), "the receiver answered 500", None),
        (answering(503, retry_after="7"), "the receiver answered 503", 7.0),
        (answering(429, retry_after="9"), "the receiver answered 429", 9.0),
        (answering(302, location="http://10.0.0.1/"), "redirects are not followed", None),
    ):
        desk.receiver.answer = answer
        with pytest.raises(DeliveryFailed, match=says) as failed:
            await desk.deliver(new)
        assert (failed.value.permanent, failed.value.retry_after) == (False, retry_after)


async def test_after_410_gone_nothing_more_is_sent(desk: Desk) -> None:
    webhook, _ = await desk.create()
    [new] = await desk.told(await desk.ask(), ApprovalRequested)
    desk.receiver.answer = answering(410)
    with pytest.raises(DeliveryFailed, match="410 Gone; the webhook is disabled") as failed:
        await desk.deliver(new)
    assert failed.value.permanent
    with pytest.raises(DeliverySkipped, match="deleted or is disabled"):
        await desk.deliver(new)
    assert len(desk.receiver.received) == 1
    assert await desk.told(await desk.ask(), ApprovalRequested) == []
    [disabled] = await desk.webhooks.all()
    assert (disabled.id, disabled.disabled_reason) == (webhook.id, "the receiver answered 410 Gone")


async def test_what_waits_for_a_deleted_webhook_is_not_sent(desk: Desk) -> None:
    webhook, _ = await desk.create()
    [new] = await desk.told(await desk.ask(), ApprovalRequested)
    await desk.administration.delete(webhook.id)
    with pytest.raises(DeliverySkipped):
        await desk.deliver(new)
    assert desk.receiver.received == []


async def test_a_target_that_is_not_allowed_any_more_gets_nothing(desk: Desk) -> None:
    await desk.create()
    [new] = await desk.told(await desk.ask(), ApprovalRequested)
    strict = WebhookChannel(
        desk.webhooks, desk.process.reader, WebhookSender(Targets()), PUBLIC_URL
    )
    with pytest.raises(DeliveryFailed, match="is a loopback address"):
        await strict.deliver(sent(new))
    await strict.close()
    assert desk.receiver.received == []


async def test_an_event_that_is_damaged_is_dead_at_once(desk: Desk) -> None:
    await desk.create()
    approval = await desk.ask()
    [new] = await desk.told(approval, ApprovalRequested)
    desk.process.damage(approval.id.execution_id)
    desk.process.recent.states.clear()
    with pytest.raises(DeliveryFailed, match="can't be read") as failed:
        await desk.deliver(new)
    assert failed.value.permanent


async def test_a_channel_that_was_closed_opens_again(desk: Desk) -> None:
    await desk.create()
    [new] = await desk.told(await desk.ask(), ApprovalRequested)
    await desk.deliver(new)
    await desk.channel.close()
    await desk.deliver(new)
    assert len(desk.receiver.received) == 2
