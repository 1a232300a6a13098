"""Whom the library ``apprise`` tells what: groups that are asked, and people."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from api.channels.apprise.channels import AppriseGroupChannel, ApprisePeopleChannel
from api.channels.apprise.configuration import AppriseUrls
from api.channels.apprise.groups import GroupSource
from api.channels.apprise.sender import AppriseSender
from application.notifications.channel import DeliverySkipped
from application.notifications.message import Message, MessageKind, NewMessage, Subject
from domain.approvals.commands import RevokeApproval, WithdrawApproval
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval
from tests.api.channels.receiver import Receiver
from tests.application.notifications.town import known
from tests.application.server_process import ServerProcess, grant
from tests.domain.people import ANN, CLEO, ENGINE, OLIVIA

PUBLIC_URL = "https://placet.example"
STAGES = Policy(
    requirements=(Requirement(groups=("finance",)), Requirement(groups=("legal",), stage=2))
)
GROUPS = ("finance", "legal")


@pytest.fixture
async def process(log_url: str) -> AsyncIterator[ServerProcess]:
    async with ServerProcess.open(log_url) as process:
        yield process


async def told(process: ServerProcess, approval: Approval, *groups: str) -> list[NewMessage]:
    """Return all messages that the events of an execution have caused so far."""
    source = GroupSource(groups or GROUPS, process.reader)
    found: list[NewMessage] = []
    for event in await process.reader.history(approval.id.execution_id):
        if source.concerns(event):
            found += await source.messages(event)
    return found


def shown(messages: list[NewMessage]) -> list[tuple[str, str]]:
    return [(str(each.kind), each.recipient) for each in messages]


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


async def ask(process: ServerProcess, **rest: Any) -> Approval:
    return await process.ask((await process.start()).id, **rest)


async def test_a_group_is_told_when_its_stage_begins_and_of_the_end(
    process: ServerProcess,
) -> None:
    approval = await ask(process, policy=STAGES)
    assert shown(await told(process, approval)) == [("OPENED", "group:finance")]
    await process.do(grant(approval, ANN))
    assert shown(await told(process, approval))[1:] == [("STAGE_BEGAN", "group:legal")]
    await process.do(grant(approval, CLEO))
    assert shown(await told(process, approval))[2:] == [
        ("RESOLVED", "group:finance"),
        ("RESOLVED", "group:legal"),
    ]
    await process.do(
        RevokeApproval(
            by=OLIVIA, execution_id=approval.id.execution_id, ordinal=1, reason="too late"
        )
    )
    assert shown(await told(process, approval))[4:] == [
        ("REVOKED", "group:finance"),
        ("REVOKED", "group:legal"),
    ]
    assert await told(process, approval, "gardeners") == []


async def test_a_group_that_was_never_asked_is_not_told_of_the_end(process: ServerProcess) -> None:
    approval = await ask(process, policy=STAGES)
    await process.do(
        WithdrawApproval(by=ENGINE, execution_id=approval.id.execution_id, ordinal=1, reason="no")
    )
    assert shown(await told(process, approval)) == [
        ("OPENED", "group:finance"),
        ("RESOLVED", "group:finance"),
    ]


async def test_what_is_resolved_meanwhile_is_not_announced_any_more(
    process: ServerProcess,
) -> None:
    async with Receiver.open() as receiver:
        urls = AppriseUrls({"finance": (receiver.url.replace("http", "json"),)}, {})
        channel = AppriseGroupChannel(urls, AppriseSender(), PUBLIC_URL, process.reader)
        approval = await ask(process)
        [opened] = await told(process, approval)
        await channel.deliver(sent(opened))
        await process.do(grant(approval))
        with pytest.raises(DeliverySkipped, match="the approval is resolved"):
            await channel.deliver(sent(opened))
        resolved = (await told(process, approval))[-1]
        await channel.deliver(sent(resolved))
        with pytest.raises(DeliverySkipped, match="names no URL for the group"):
            await channel.deliver(replace(sent(resolved), recipient="group:legal"))
    titles = [each.event["title"] for each in receiver.received]
    assert titles == ["Approval needed: Trip", "Approval granted: Trip"]


async def test_people_are_told_by_their_urls_and_get_a_digest(process: ServerProcess) -> None:
    approval = await ask(process, title="Trip\r\nBcc: all", payload={"iban": "DE02"})
    execution = await process.reader.execution(approval.id.execution_id)
    assert execution is not None
    async with Receiver.open() as receiver:
        urls = AppriseUrls({}, {"ann": (receiver.url.replace("http", "json"),)})
        channel = ApprisePeopleChannel(urls, AppriseSender(), PUBLIC_URL)
        assert channel.reaches(known(ANN))
        assert not channel.reaches(known(CLEO))
        message = Message(
            id=uuid4(),
            kind=MessageKind.DELEGATED,
            recipient="ann",
            channel=channel.name,
            execution_id=execution.id,
            ordinal=1,
            version=2,
            position=2,
            created_at=datetime.now(UTC),
            tries=1,
            subject=Subject(known(ANN), execution, approval),
        )
        await channel.deliver(message)
        digest = replace(message, kind=MessageKind.DIGEST, subject=None, items=(message,) * 30)
        await channel.deliver(digest)
        with pytest.raises(DeliverySkipped, match="names no URL for the person"):
            await channel.deliver(replace(message, recipient="cleo"))
        one, many = [each.event for each in receiver.received]
    link = f"{PUBLIC_URL}/approvals/{approval.id}"
    assert one["title"] == "Approval delegated to you: Trip Bcc: all"
    assert one["message"] == f"Workflow travel, key permit\n{link}"
    assert many["title"] == "30 news of approvals"
    assert many["message"].count(link) == 20
    assert many["message"].endswith(f"and 10 more: {PUBLIC_URL}/")
