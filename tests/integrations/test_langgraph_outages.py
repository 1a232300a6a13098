"""Graphs whose process dies, and services that are away, between question and answer."""

import asyncio
import sys
from itertools import count
from typing import Any

import msgspec
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import interrupt

from placet import Client, Doubt, ExecutionState, Gate, errors
from placet.client.transport.envelope import BoundOperation
from placet.langgraph import Approvals
from placet.langgraph.handover import hand_over
from tests.integrations.desk import Desk
from tests.integrations.graphs import FINANCE, State, asking, graph, wish
from tests.integrations.test_langgraph import EMPTY, PAY
from tests.sdk.people import Server


async def test_a_process_killed_while_it_waits_goes_on_elsewhere_with_the_same_approval(
    desk: Desk,
    approvals: Approvals,
    server: Server,
    postgres_saver: AsyncPostgresSaver,
    module_database_url: str,
    thread: Any,
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integrations.graphs", server.url, server.tokens["engine"]),
        *(desk.gate.queue, module_database_url, thread["configurable"]["thread_id"]),
    )
    try:
        [approval] = await desk.pending()
    finally:
        process.kill()
        await process.wait()
    await desk.grant(approval)

    asked = graph(postgres_saver, asking(PAY, wish("pay", euros=7)))
    running = asyncio.create_task(approvals.run(asked, None, thread))
    [second] = await desk.pending()
    assert second.payload["arguments"] == {"euros": 7}
    await desk.grant(second)
    [[first_answer], [second_answer]] = (await running)["answers"]
    assert first_answer["args"]["args"] == {"euros": 120}
    assert second_answer["args"]["args"] == {"euros": 7}
    assert len(await desk.asked()) == 2


async def test_a_node_that_died_after_its_answer_does_not_take_it_for_the_next_one(
    desk: Desk, approvals: Approvals, postgres_saver: AsyncPostgresSaver, thread: Any
) -> None:
    deaths = ["power cut"]

    def node(state: State) -> dict[str, Any]:
        del state
        first = interrupt(PAY)
        if deaths:
            raise OSError(deaths.pop())
        return {"answers": [first, interrupt(wish("pay", euros=7))]}

    asked = graph(postgres_saver, node)
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    [approval] = await desk.pending()
    await desk.grant(approval)
    with pytest.raises(OSError, match="power cut"):
        await running

    going_on = asyncio.create_task(approvals.run(asked, None, thread))
    [second] = await desk.pending()
    assert second.payload["arguments"] == {"euros": 7}
    await desk.reject(second, "no")
    [[accepted], [refused]] = (await going_on)["answers"]
    assert (accepted["type"], refused["args"]) == ("accept", "no")


async def test_an_answer_that_was_handed_out_is_not_handed_out_again_but_asked_for_in_a_fork(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    asked = graph(saver, asking(PAY))
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    [approval] = await desk.pending()
    running.cancel()
    await desk.grant(approval)
    # As a process does that ends before LangGraph has saved the answer.
    await desk.gate.redeem(await desk.gate.clearance(approval))
    with pytest.raises(Doubt, match="not given twice"):
        await approvals.run(asked, None, thread)
    await desk.gate.complete(await desk.gate.clearance(approval), "answer", {"type": "accept"})
    with pytest.raises(Doubt, match="from the checkpoint"):
        await approvals.run(asked, None, thread)

    checkpoint = (await asked.aget_state(thread)).config
    forked = asyncio.create_task(approvals.run(asked, None, checkpoint))
    [again] = await desk.pending()
    assert again.id != approval.id
    await desk.grant(again)
    assert len((await forked)["answers"]) == 1


def away_at(redemption: int, client: Client) -> None:
    """Have the service be away at one of the redemptions that are asked for, counted from 0."""
    send, redemptions = client.transport.send_once, count()

    async def send_once(bound: BoundOperation[Any]) -> Any:
        redeems = b"redemptionKey" in msgspec.json.encode(bound.variables)
        if redeems and next(redemptions) == redemption:
            raise errors.Unavailable("no answer")
        return await send(bound)

    client.transport.send_once = send_once  # type: ignore[method-assign]


@pytest.mark.parametrize("redemption", [0, 1, 2])
async def test_after_an_outage_between_two_redemptions_all_answers_are_given(
    desk: Desk, server: Server, saver: InMemorySaver, thread: Any, redemption: int
) -> None:
    asked = graph(saver, *(asking([wish("pay", euros=each)]) for each in (1, 2, 3)))
    async with Client(server.url, server.tokens["engine"], retry_for=0) as client:
        away_at(redemption, client)
        approvals = Approvals(Gate(client, queue=desk.gate.queue), FINANCE)
        running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
        for each in await desk.pending(3):
            await desk.grant(each)
        with pytest.raises(errors.Unavailable):
            await running
        answers = (await approvals.run(asked, None, thread))["answers"]
        assert [each["args"]["args"]["euros"] for [each] in answers] == [1, 2, 3]
    states = [await desk.state(each) for each in await desk.asked()]
    assert [state for state, _ in states] == [ExecutionState.COMPLETED] * 3


async def test_of_two_processes_that_answer_several_interrupts_at_once_one_does(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    asked = graph(saver, *(asking([wish("pay", euros=each)]) for each in (1, 2)))
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    for each in await desk.pending(2):
        await desk.grant(each)
    await running
    used = await desk.asked()
    grants = [
        (await desk.gate.clearance(each), (await desk.state(each))[1]) for each in reversed(used)
    ]
    for some in (grants, grants[:1], grants[1:]):
        with pytest.raises(Doubt, match="not given twice"):
            await hand_over(desk.gate, some)
