"""Messages about approvals leave a client that keeps the last of each with what is true."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tests.api.graphql_client import GraphQLClient
from tests.api.positions import number
from tests.application.server_process import grant, step
from tests.domain.people import OLIVIA
from tests.support.patience import HANGS

APPROVALS = """subscription ($filter: ApprovalFilter, $after: String) {
    approvals(filter: $filter, after: $after) { cursor removedId approval { id status } } }"""
PENDING = {"status": ["PENDING"]}


async def following(stream: AsyncIterator[Any]) -> Any:
    async with asyncio.timeout(HANGS):
        return await anext(stream)


async def test_who_catches_up_never_sees_a_decided_approval_as_pending(
    client: GraphQLClient,
) -> None:
    execution = await client.process.start()
    asked = await client.process.ask(execution.id)
    await client.process.do(grant(asked))
    async with client.follow(APPROVALS, OLIVIA, after="0", filter=PENDING) as stream:
        message = await following(stream)
    now = {"id": str(asked.id), "status": "GRANTED"}
    assert number(message.pop("cursor")) == 3
    assert message == {"removedId": str(asked.id), "approval": now}


async def test_every_message_of_the_past_shows_the_present_state(client: GraphQLClient) -> None:
    execution = await client.process.start()
    asked = await client.process.ask(execution.id)
    for n in range(600):
        await client.process.do(step(execution.id, f"{n}"))
    await client.process.do(grant(asked))
    async with client.follow(APPROVALS, OLIVIA, after="0") as stream:
        messages = [await following(stream) for _ in range(2)]
    assert [message["approval"]["status"] for message in messages] == ["GRANTED", "GRANTED"]
    assert [message["removedId"] for message in messages] == [None, None]
