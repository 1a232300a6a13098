"""The examples do what their docstrings say."""

import asyncio
from uuid import uuid4

import pytest

from examples import agent_tools, deployment_gate
from placet import ExecutionState, Gate
from tests.examples.refunds import asked
from tests.sdk.people import People, Server


async def deployment(people: People, queue: str) -> str:
    operator = await people.get("operator")
    release = {"service": "shop", "version": "2"}
    accepted = await operator.start("deploy", release, queue=queue)
    assert accepted.execution is not None
    return accepted.execution.id


@pytest.fixture
def queue() -> str:
    return f"deployments-{uuid4()}"


async def test_two_people_let_a_deployment_go(people: People, server: Server, queue: str) -> None:
    first, second = await people.get("approver-a"), await people.get("approver-b")
    async with deployment_gate.engine(server.url, server.tokens["engine"], queue=queue):
        execution_id = await deployment(people, queue)
        [approval] = await people.pending(execution_id)
        assert (approval.title, approval.payload["strategy"]) == ("Deploy shop 2", "rolling")
        await first.grant(approval)
        await second.grant(approval)
        ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.COMPLETED
    assert ended.result == {"deployed": True, "by": ["approver-a", "approver-b"]}


async def test_one_rejection_is_enough(people: People, server: Server, queue: str) -> None:
    first, second = await people.get("approver-a"), await people.get("approver-b")
    async with deployment_gate.engine(server.url, server.tokens["engine"], queue=queue):
        execution_id = await deployment(people, queue)
        [approval] = await people.pending(execution_id)
        await first.grant(approval)
        await second.reject(approval, comment="not on a Friday")
        ended = await people.ended(execution_id)
    assert ended.result["deployed"] is False
    assert "not on a Friday" in ended.result["because"]


async def test_an_agent_waits_for_people_before_it_acts(people: People) -> None:
    engine, approver = await people.get("engine"), await people.get("approver-a")
    conversation = f"conversation-{uuid4()}"
    tools = agent_tools.tools(Gate(engine), conversation)

    async def talk() -> list[str]:
        return [told async for told in agent_tools.converse(tools, agent_tools.SCRIPT)]

    talking = asyncio.create_task(talk())
    await approver.grant(await asked(approver, 120))
    await approver.reject(await asked(approver, 90_000), comment="far too much")
    told = await talking

    assert told[:2] == ["c-17 has paid 120 euros", "refunded 120 euros to c-17"]
    assert "far too much" in told[2]
    # A second conversation of the same name is told the same, and nothing is done again.
    assert await talk() == told
