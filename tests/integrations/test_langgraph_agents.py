"""Agents of LangChain whose tool calls are stopped for people."""

import asyncio
from typing import Any

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
from langgraph.types import Interrupt

from placet import Rejected
from placet.approvals.tool_calls import ToolCall
from placet.langgraph import Approvals
from placet.langgraph.shapes import shape_of
from tests.integrations.desk import Desk
from tests.integrations.graphs import Graph, wish
from tests.integrations.test_langgraph import PAY


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
