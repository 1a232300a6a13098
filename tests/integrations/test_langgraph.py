"""Interrupts of LangGraph, before a service with people who decide."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from placet import ExecutionState, Policy, Rejected, errors, require
from placet.approvals.tool_calls import ToolCall
from placet.langgraph import Approvals
from tests.integrations.desk import Desk
from tests.integrations.graphs import ALL, FINANCE, Node, State, asking, graph, wish

EMPTY: State = {"answers": []}
PAY = wish("pay", euros=120)


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


async def test_what_people_want_changed_is_a_response(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    running = asyncio.create_task(approvals.run(graph(saver, asking(PAY)), EMPTY, thread))
    [approval] = await desk.pending()
    await desk.request_changes(approval, "by train")
    said = "people want it changed, and can then be asked again: by train"
    assert (await running)["answers"] == [[{"type": "response", "args": said}]]
    assert (await desk.state(approval))[0] is ExecutionState.FAILED


async def test_what_people_changed_is_an_edit(
    desk: Desk, saver: InMemorySaver, thread: Any
) -> None:
    approvals = Approvals(desk.gate, FINANCE.allow_amendment())
    asked = graph(saver, asking(PAY), asking(wish("pay", ("accept", "ignore"), euros=7)))
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    # The first takes an edit. The second takes none, so the call is refused.
    for approval in await desk.pending(2):
        await desk.amend(approval, {"action": "pay", "arguments": {"euros": 1}})
    edit = {"type": "edit", "args": {"action": "pay", "args": {"euros": 1}}}
    answers = sorted((await running)["answers"], key=str)
    assert answers == [[edit], [{"type": "ignore", "args": None}]]
    assert all(each.redeemed_at is not None for each in await desk.asked())


async def test_an_amendment_that_is_no_call_is_a_refusal(
    desk: Desk, saver: InMemorySaver, thread: Any
) -> None:
    approvals = Approvals(desk.gate, FINANCE.allow_amendment())
    running = asyncio.create_task(approvals.run(graph(saver, asking(PAY)), EMPTY, thread))
    [approval] = await desk.pending()
    await desk.amend(approval, "nothing")
    told = {"type": "response", "args": 'people agree only to "nothing"'}
    assert (await running)["answers"] == [[told]]


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


async def test_each_of_several_open_interrupts_is_answered_as_its_approval_resolves(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    done: asyncio.Queue[list[Any]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def telling(node: Node) -> Node:
        def tell(state: State) -> dict[str, Any]:
            answered = node(state)
            loop.call_soon_threadsafe(done.put_nowait, answered["answers"])
            return answered

        return tell

    nodes = [asking([wish("pay", euros=1), wish("pay", euros=2)]), asking(wish("pay", euros=3))]
    asked = graph(saver, *map(telling, nodes))
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    first, second, third = await desk.pending(3)
    await desk.grant(third)
    [[alone]] = await done.get()
    assert alone["args"]["args"] == {"euros": 3}
    assert (await desk.state(third))[0] is ExecutionState.COMPLETED

    await desk.reject(second, "twice?")
    await desk.grant(first)
    [[one, two], [three]] = (await running)["answers"]
    assert one["args"]["args"] == {"euros": 1}
    assert two == {"type": "response", "args": "twice?"}
    assert three == alone
    assert len(await desk.asked()) == 3


async def test_an_answer_that_was_given_stays_when_the_rest_is_answered_elsewhere(
    desk: Desk, approvals: Approvals, postgres_saver: AsyncPostgresSaver, thread: Any
) -> None:
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def first(state: State) -> dict[str, Any]:
        found = asking(wish("pay", euros=1))(state)
        loop.call_soon_threadsafe(answered.set)
        return found

    asked = graph(postgres_saver, first, asking(wish("pay", euros=2)))
    running = asyncio.create_task(approvals.run(asked, EMPTY, thread))
    [one, two] = await desk.pending(2)
    await desk.grant(one)
    await answered.wait()
    [left] = await desk.pending()
    assert left.id == two.id
    running.cancel()
    await asyncio.wait([running])

    going_on = asyncio.create_task(approvals.run(asked, None, thread))
    await desk.grant(two)
    answers = (await going_on)["answers"]
    assert [each["args"]["args"]["euros"] for [each] in answers] == [1, 2]
    assert len(await desk.asked()) == 2


@pytest.mark.parametrize(
    ("comment", "answer"), [(None, True), ("At nine", "At nine"), ("Not today", False)]
)
async def test_a_free_form_interrupt_is_answered_by_what_people_say(
    desk: Desk,
    approvals: Approvals,
    saver: InMemorySaver,
    thread: Any,
    comment: str | None,
    answer: Any,
) -> None:
    running = asyncio.create_task(
        approvals.run(graph(saver, asking("May I publish it?")), EMPTY, thread)
    )
    [approval] = await desk.pending()
    assert (approval.workflow, approval.title) == ("interrupt", "May I publish it?")
    assert approval.payload == {"action": "interrupt", "arguments": "May I publish it?"}
    if answer:
        await desk.grant(approval, comment)
    else:
        await desk.reject(approval, str(comment))
    assert (await running)["answers"] == [answer]


async def test_the_response_schema_of_a_question_is_a_form_and_its_answers_the_response(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    schema = {"type": "object", "properties": {"gate": {"type": "integer"}}, "required": ["gate"]}

    def node(state: State) -> dict[str, Any]:
        del state
        return {"answers": [interrupt("Which gate?", response_schema=schema)]}

    running = asyncio.create_task(approvals.run(graph(saver, node), EMPTY, thread))
    [approval] = await desk.pending()
    assert (approval.title, approval.form) == ("Which gate?", schema)
    await (await desk.people.get("approver-a")).grant(approval, answers={"gate": 7})
    assert (await running)["answers"] == [{"gate": 7}]


@pytest.mark.parametrize(
    "value", [{"draft": "Dear Ada", "n": [1, None]}, ["a"], 7, None, "x" * 999]
)
async def test_any_json_can_be_asked(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any, value: Any
) -> None:
    running = asyncio.create_task(approvals.run(graph(saver, asking(value)), EMPTY, thread))
    [approval] = await desk.pending()
    assert approval.title == "Answer the question of an agent"
    assert approval.payload == {"action": "interrupt", "arguments": value}
    await desk.grant(approval)
    assert (await running)["answers"] == [True]


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


async def test_an_interrupt_whose_value_is_no_json_asks_nobody(
    desk: Desk, approvals: Approvals, saver: InMemorySaver, thread: Any
) -> None:
    with pytest.raises(ValueError, match="the arguments of interrupt is not JSON"):
        await approvals.run(graph(saver, asking(float("nan"))), EMPTY, thread)
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
