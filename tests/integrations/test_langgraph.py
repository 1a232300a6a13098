"""Interrupts of LangGraph, before a service with people who decide."""

import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import count
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.messages import ToolCall as WantedCall
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph
from langgraph.types import Interrupt, interrupt

from placet import Client, Doubt, ExecutionState, Gate, Policy, Rejected, errors, require
from placet.approvals.tool_calls import ToolCall
from placet.client.transport.envelope import BoundOperation
from placet.langgraph import Approvals
from placet.langgraph.handover import hand_over
from placet.langgraph.shapes import shape_of
from tests.integrations.desk import Desk
from tests.integrations.graphs import ALL, FINANCE, Graph, State, asking, graph, wish
from tests.sdk.people import People, Server

EMPTY: State = {"answers": []}
PAY = wish("pay", euros=120)


@pytest.fixture
async def desk(people: People) -> Desk:
    return await Desk.open(people)


@pytest.fixture
def approvals(desk: Desk) -> Approvals:
    return Approvals(desk.gate, FINANCE)


@pytest.fixture
def saver() -> InMemorySaver:
    return InMemorySaver()


@pytest.fixture
def thread() -> Any:
    return {"configurable": {"thread_id": f"thread-{uuid4()}"}}


async def test_an_interrupt_opens_an_approval_and_its_grant_resumes_the_graph(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    running = asyncio.create_task(approvals.run(graph(saver, asking([PAY])), EMPTY, thread))
    [approval] = await desk.pending()
    assert approval.workflow == "pay"
    assert (approval.title, approval.description) == ("Let an agent call pay", "About to pay")
    assert approval.payload == {"action": "pay", "arguments": {"euros": 120}}
    await desk.grant(approval)

    answer = {"type": "accept", "args": {"action": "pay", "args": {"euros": 120}}}
    assert (await running)["answers"] == [[answer]]
    assert await desk.state(approval) == (ExecutionState.COMPLETED, answer)
    [used] = await desk.asked()
    assert used.redeemed_at is not None


@pytest.mark.parametrize(
    ("allowed", "answer"),
    [
        (ALL, {"type": "response", "args": "too dear"}),
        (("accept", "ignore"), {"type": "ignore", "args": None}),
    ],
)
async def test_a_rejection_is_told_to_the_graph_as_it_can_take_it(
    desk: Desk,
    approvals: Approvals,
    saver: InMemorySaver,
    thread: Any,
    allowed: tuple[str, ...],
    answer: Any,
) -> None:
    asked = graph(saver, asking(wish("pay", allowed, euros=120)))
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    [approval] = await desk.pending()
    await desk.reject(approval, "too dear")
    assert (await running)["answers"] == [[answer]]
    assert (await desk.state(approval))[0] is ExecutionState.FAILED


async def test_a_graph_that_takes_no_refusal_stays_interrupted(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    asked = graph(saver, asking(wish("pay", ["accept"], euros=120)))
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    [approval] = await desk.pending()
    await desk.reject(approval, "too dear")
    with pytest.raises(Rejected, match="too dear"):
        await running
    with pytest.raises(Rejected, match="too dear"):
        await approvals.run(asked, None, thread)
    assert (await asked.aget_state(thread)).interrupts


async def test_a_withdrawal_is_a_refusal_with_its_reason(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    running = asyncio.create_task(approvals.run(graph(saver, asking(PAY)), EMPTY, thread))
    [approval] = await desk.pending()
    await desk.gate.withdraw(approval, "no longer needed")
    answer = {"type": "response", "args": "the request was withdrawn"}
    assert (await running)["answers"] == [[answer]]


async def test_interrupts_of_parallel_nodes_are_asked_at_once_and_answered_each_by_its_own(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    nodes = [asking([wish("pay", euros=1), wish("pay", euros=2)]), asking(wish("pay", euros=3))]
    running = asyncio.create_task(approvals.run(graph(saver, *nodes), EMPTY, thread))
    first, second, third = await desk.pending(3)
    await desk.grant(third)
    await desk.reject(second, "twice?")
    assert not running.done()
    await desk.grant(first)
    [[one, two], [three]] = (await running)["answers"]
    assert one["args"]["args"] == {"euros": 1}
    assert two == {"type": "response", "args": "twice?"}
    assert three["args"]["args"] == {"euros": 3}


async def test_an_interrupt_after_another_in_one_node_is_asked_for_itself(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    running = asyncio.create_task(approvals.run(graph(saver, asking(PAY, PAY)), EMPTY, thread))
    [first] = await desk.pending()
    await desk.grant(first)
    [second] = await desk.pending()
    assert (second.payload, second.id != first.id) == (first.payload, True)
    await desk.reject(second, "once is enough")
    [[accepted], [refused]] = (await running)["answers"]
    assert (accepted["type"], refused["args"]) == ("accept", "once is enough")


async def test_who_decides_may_depend_on_the_action(
    desk: Desk, saver: InMemorySaver, thread: Any
) -> None:
    def policy(call: ToolCall) -> Policy:
        return require(2, group="finance") if call.arguments["euros"] > 100 else FINANCE

    approvals = Approvals(desk.gate, policy, on_behalf_of="approver-b")
    asked = graph(saver, asking([PAY, wish("pay", euros=7)]))
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    large, small = await desk.pending(2)
    assert [each.policy.requirements[0].count for each in (large, small)] == [2, 1]
    with pytest.raises(errors.NotEligible, match="four eyes"):
        await (await desk.people.get("approver-b")).grant(small)
    running.cancel()


@pytest.fixture
async def postgres_saver(module_database_url: str) -> AsyncIterator[AsyncPostgresSaver]:
    async with AsyncPostgresSaver.from_conn_string(module_database_url) as saver:
        await saver.setup()
        yield saver


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


async def test_an_interrupt_of_another_shape_asks_nobody(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    with pytest.raises(ValueError, match="neither a HumanInterrupt"):
        await approvals.run(graph(saver, asking("How old are you?")), EMPTY, thread)
    assert await desk.asked() == []


async def test_a_graph_that_can_not_be_resumed_asks_nobody(
    desk: Desk, approvals: Approvals, thread: Any
) -> None:
    with pytest.raises(ValueError, match="No checkpointer"):
        await approvals.run(graph(None, asking(PAY)), EMPTY, thread)
    assert await desk.asked() == []


@pytest.mark.parametrize("stop", ["interrupt_before", "interrupt_after"])
async def test_a_breakpoint_is_not_taken_for_the_end(
    approvals: Approvals, saver: InMemorySaver, thread: Any, stop: str
) -> None:
    builder = StateGraph(State)
    builder.add_node("first", lambda _: {"answers": ["first"]})
    builder.add_node("second", lambda _: {"answers": ["second"]})
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    where: Any = {stop: ["second" if stop == "interrupt_before" else "first"]}
    for asked, options in (
        (builder.compile(checkpointer=saver, **where), {}),
        (builder.compile(checkpointer=saver), where),
    ):
        thread["configurable"]["thread_id"] = str(uuid4())
        with pytest.raises(ValueError, match=r"at a breakpoint .*, before second"):
            await approvals.run(asked, EMPTY, thread, **options)
        assert (await approvals.run(asked, None, thread))["answers"] == ["first", "second"]


async def test_an_entrypoint_of_the_functional_interface_is_run_to_its_end(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    @entrypoint(checkpointer=saver)
    async def flow(euros: int) -> Any:
        return interrupt(wish("pay", euros=euros))

    running = asyncio.create_task(approvals.run(flow, 7, thread))
    [approval] = await desk.pending()
    await desk.grant(approval)
    [answer] = await running
    assert answer["args"]["args"] == {"euros": 7}


@pytest.mark.parametrize("option", [{"version": "v1"}, {"stream_mode": "updates"}])
async def test_an_option_that_hides_the_interrupts_is_refused(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any, option: Any
) -> None:
    with pytest.raises(ValueError, match="can't be given"):
        await approvals.run(graph(saver, asking(PAY)), EMPTY, thread, **option)
    assert await desk.asked() == []


@pytest.mark.parametrize("config", [{}, {"configurable": {}}, {"configurable": {"user": "ada"}}])
async def test_a_config_without_a_thread_is_refused_in_words(
    approvals: Approvals, saver: InMemorySaver, config: Any
) -> None:
    with pytest.raises(ValueError, match="config names no thread"):
        await approvals.run(graph(saver, asking(PAY)), EMPTY, config)


async def test_a_node_that_asks_for_something_else_when_it_is_begun_again_is_refused(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    euros = [120, 1200]

    def node(state: State) -> dict[str, Any]:
        del state
        return {"answers": [interrupt(wish("pay", euros=euros.pop(0)))]}

    asked = graph(saver, node)
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    await desk.pending()
    running.cancel()
    with pytest.raises(errors.KeyReused):
        await approvals.run(asked, None, thread)


class Model(FakeMessagesListChatModel):
    """A model that says what it is given, in order."""

    def bind_tools(self, tools: Any, **_options: Any) -> Runnable[Any, AIMessage]:
        del tools
        return self


def agent(
    saver: BaseCheckpointSaver[Any],
    calls: list[WantedCall],
    paid: list[int],
    **middleware: Any,
) -> Graph:
    """Give langchain's agent, whose model wants these calls and then ends."""

    @tool
    def pay(euros: int) -> str:
        """Pay."""
        paid.append(euros)
        return f"paid {euros}"

    @tool
    def ask_user(question: str) -> str:
        """Ask the user."""
        raise NotImplementedError(question)

    wanted = [AIMessage("", tool_calls=calls), AIMessage("done")]
    given: dict[str, Any] = {"interrupt_on": {"pay": True}} | middleware
    return create_agent(
        Model(responses=wanted),
        [pay, ask_user],
        middleware=[HumanInTheLoopMiddleware(**given)],
        checkpointer=saver,
    )


def wanted(*euros: int) -> list[WantedCall]:
    return [WantedCall(name="pay", args={"euros": each}, id=f"call-{each}") for each in euros]


def told(output: Any) -> list[str]:
    """Give what the model was told by the tools, in order."""
    return [str(each.content) for each in output["messages"] if each.type == "tool"]


@pytest.mark.parametrize("mode", ["batched", "per_call"])
async def test_calls_that_langchains_middleware_stops_are_decided_each(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any, mode: str
) -> None:
    paid: list[int] = []
    asked = agent(saver, wanted(1, 2), paid, interrupt_mode=mode)
    given = {"messages": [("user", "Pay")]}
    running = asyncio.create_task(approvals.run(asked, given, thread))
    first, second = await desk.pending(2)
    assert first.payload == {"action": "pay", "arguments": {"euros": 1}}
    await desk.grant(first)
    await desk.reject(second, "once is enough")
    output = await running
    assert paid == [1]
    assert any("with reason: once is enough" in each for each in told(output))
    assert any("paid 1" in each for each in told(output))
    assert output["messages"][-1].content == "done"


async def test_a_call_with_long_arguments_is_shown_whole_and_its_description_cut(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    question = "why? " * 4_000
    calls = [WantedCall(name="ask_user", args={"question": question}, id="call-1")]
    on = {"ask_user": {"allowed_decisions": ["respond"]}}
    asked = agent(saver, calls, [], interrupt_on=on)
    running = asyncio.create_task(approvals.run(asked, {"messages": [("user", "Go")]}, thread))
    [approval] = await desk.pending()
    assert approval.payload["arguments"] == {"question": question}
    assert approval.description is not None
    assert len(approval.description) == 10_000
    assert approval.description.endswith("why?\n... (cut here; the payload is whole)")
    await desk.grant(approval, "Because")
    assert told(await running) == ["Because"]


@pytest.mark.parametrize("mode", ["batched", "per_call"])
async def test_a_question_to_people_is_answered_with_their_comment(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any, mode: str
) -> None:
    calls = [WantedCall(name="ask_user", args={"question": "Which gate?"}, id="call-1")]
    on = {"ask_user": {"allowed_decisions": ["respond"]}}
    asked = agent(saver, calls, [], interrupt_on=on, interrupt_mode=mode)
    running = asyncio.create_task(approvals.run(asked, {"messages": [("user", "Go")]}, thread))
    [approval] = await desk.pending()
    await desk.grant(approval, "B 7")
    assert told(await running) == ["B 7"]


def edited(call: ToolCall, value: Any) -> Any:
    """Give the answer where people granted another call than was asked for."""
    [request], combined = shape_of(Interrupt(value, "id"))
    answer = request.granted(call, None)
    return None if answer is None else combined([answer])


REVIEW = {"action_requests": [{"name": "pay", "args": {"euros": 120}}]}


def review(*allowed: str) -> Any:
    return REVIEW | {"review_configs": [{"action_name": "pay", "allowed_decisions": allowed}]}


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ([PAY], [{"type": "edit", "args": {"action": "pay", "args": {"euros": 1}}}]),
        (wish("pay", ["accept", "respond", "ignore"], euros=120), None),
        (
            review("approve", "edit"),
            {
                "decisions": [
                    {"type": "edit", "edited_action": {"name": "pay", "args": {"euros": 1}}}
                ]
            },
        ),
        (review("approve", "reject"), None),
    ],
)
def test_what_people_amended_is_an_edit_or_is_not_taken(value: Any, answer: Any) -> None:
    assert edited(ToolCall("pay", {"euros": 1}), value) == answer


def test_an_amendment_that_python_takes_for_equal_is_one() -> None:
    [request], _ = shape_of(Interrupt(wish("pay", ["accept"], urgent=1), "id"))
    assert request.granted(ToolCall("pay", {"urgent": True}), None) is None
    assert request.granted(ToolCall("pay", {"urgent": 1.0}), None) is not None


@pytest.mark.parametrize(
    ("allowed", "answer"),
    [
        (["approve", "reject", "respond"], {"type": "reject", "message": "too dear"}),
        (["respond"], {"type": "respond", "message": "too dear"}),
        (["approve", "respond"], None),
        (["edit", "respond"], None),
        (["approve", "edit"], None),
    ],
)
def test_a_rejection_is_never_told_as_the_success_of_a_tool(
    allowed: list[str], answer: Any
) -> None:
    [request], _ = shape_of(Interrupt(review(*allowed), "id"))
    assert request.refused("too dear") == answer


@pytest.mark.parametrize("mode", ["batched", "per_call"])
async def test_an_agent_that_takes_a_response_and_no_rejection_stays_interrupted(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any, mode: str
) -> None:
    paid: list[int] = []
    on = {"pay": {"allowed_decisions": ["approve", "respond"]}}
    asked = agent(saver, wanted(1), paid, interrupt_on=on, interrupt_mode=mode)
    running = asyncio.create_task(approvals.run(asked, {"messages": [("user", "Pay")]}, thread))
    [approval] = await desk.pending()
    await desk.reject(approval, "too dear")
    with pytest.raises(Rejected, match="too dear"):
        await running
    assert (await asked.aget_state(thread)).interrupts
    assert paid == []
