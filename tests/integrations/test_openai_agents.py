"""Agents of the OpenAI Agents SDK, before a service with people who decide."""

import asyncio
import random
import string
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest
from agents import Agent, ModelResponse, RunContextWrapper, function_tool
from pydantic import BaseModel

from placet import Approval, Doubt, ExecutionState, Policy, StepFailed, errors, require
from placet.approvals.tool_calls import ToolCall
from placet.openai_agents import Approvals
from tests.integrations.desk import Desk
from tests.integrations.runs import FINANCE, UNTRACED, Script, Turn, agent, payer, wanted
from tests.sdk.people import Server


class Bank:
    """What the tool does."""

    def __init__(self) -> None:
        self.paid: list[int] = []

    def pay(self, euros: int) -> str:
        self.paid.append(euros)
        return f"paid {euros}"


class Talk:
    """One run, by its key."""

    def __init__(self, approvals: Approvals) -> None:
        self.approvals = approvals
        self.key = str(uuid4())

    async def run(self, asked: Agent[Any], **more: Any) -> Any:
        options = {"run_config": UNTRACED} | more
        return await self.approvals.run(asked, "Pay the invoice", key=self.key, **options)


@pytest.fixture
def talk(desk: Desk) -> Talk:
    return Talk(Approvals(desk.gate, FINANCE))


@pytest.fixture
def bank() -> Bank:
    return Bank()


async def test_a_call_waits_and_is_made_once_when_it_is_granted(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    running = asyncio.create_task(talk.run(payer(bank.pay)))
    [approval] = await desk.pending()
    assert (approval.workflow, approval.title) == ("clerk", "Let an agent call pay")
    assert approval.payload == {"action": "pay", "arguments": {"euros": 120}}
    assert bank.paid == []
    await desk.grant(approval)
    assert await running == "It is paid."
    assert bank.paid == [120]
    assert await desk.state(approval) == (ExecutionState.COMPLETED, "It is paid.")
    assert await talk.run(payer(bank.pay)) == "It is paid."
    assert bank.paid == [120]


async def test_a_rejection_is_told_to_the_agent(desk: Desk, talk: Talk, bank: Bank) -> None:
    model = Script([wanted("pay", "call-1", euros=120)], "Then not.")
    running = asyncio.create_task(talk.run(agent(model, bank.pay)))
    [approval] = await desk.pending()
    await desk.reject(approval, "too dear")
    assert await running == "Then not."
    assert model.told == ["People did not approve of this call: too dear"]
    assert bank.paid == []
    assert (await desk.state(approval))[0] is ExecutionState.COMPLETED


async def test_what_people_want_changed_is_told_to_the_agent(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    model = Script([wanted("pay", "call-1", euros=120)], "Then not.")
    running = asyncio.create_task(talk.run(agent(model, bank.pay)))
    [approval] = await desk.pending()
    await desk.request_changes(approval, "by train")
    assert await running == "Then not."
    [told] = model.told
    assert told.startswith("People did not approve of this call: people want it changed")
    assert told.endswith(": by train")
    assert bank.paid == []


async def test_what_people_changed_is_told_to_the_agent_and_asked_for_as_it_says(
    desk: Desk, bank: Bank
) -> None:
    talk = Talk(Approvals(desk.gate, FINANCE.allow_amendment()))
    wishes = [wanted("pay", "call-1", euros=120), wanted("pay", "call-2", euros=90)]
    model = Script(*([each] for each in wishes), "It is paid.")
    running = asyncio.create_task(talk.run(agent(model, bank.pay)))
    [approval] = await desk.pending()
    await desk.amend(approval, {"action": "pay", "arguments": {"euros": 90}})
    [second] = await desk.pending()
    assert second.payload == {"action": "pay", "arguments": {"euros": 90}}
    await desk.grant(second)
    assert await running == "It is paid."
    assert bank.paid == [90]
    assert "approver-a changed it and agreed only to" in model.told[0]


async def test_a_call_whose_arguments_have_a_name_twice_is_not_put_before_people(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    call = wanted("pay", "call-1", euros=10)
    call.arguments = '{"euros": 10, "euros": 10000}'
    model = Script([call, wanted("pay", "call-2", euros=2)], "Done.")
    running = asyncio.create_task(talk.run(agent(model, bank.pay)))
    [approval] = await desk.pending()
    assert approval.payload == {"action": "pay", "arguments": {"euros": 2}}
    await desk.grant(approval)
    assert await running == "Done."
    assert bank.paid == [2]
    assert model.told[0] == (
        "This call is not made: the JSON of the arguments has an object with the name 'euros'"
        " twice; give each name once"
    )


async def test_several_calls_at_once_and_one_after_another_are_decided_each(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    first = [
        wanted("pay", "call-1", euros=1),
        wanted("look_up", "call-2", customer="c-17"),
        wanted("pay", "call-3", euros=2),
    ]
    model = Script(first, [wanted("pay", "call-4", euros=2)], "Done.")
    running = asyncio.create_task(talk.run(agent(model, bank.pay)))
    one, two = await desk.pending(2)
    await desk.grant(two)
    await desk.gate.withdraw(one, "no longer needed")
    [again] = await desk.pending()
    assert (again.payload, again.execution_id) == (two.payload, two.execution_id)
    await desk.grant(again)
    assert await running == "Done."
    assert bank.paid == [2, 2]
    assert sorted(model.told) == [
        "People did not approve of this call: the request was withdrawn",
        "c-17 owes nothing",
        "paid 2",
        "paid 2",
    ]


async def test_a_process_killed_while_it_waits_is_gone_on_with_by_the_id_of_the_execution(
    desk: Desk, talk: Talk, server: Server, bank: Bank
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integrations.runs", server.url, server.tokens["engine"]),
        *(desk.gate.queue, talk.key),
    )
    try:
        [approval] = await desk.pending()
    finally:
        process.kill()
        await process.wait()
    await desk.grant(approval)
    resumed = talk.approvals.resume(payer(bank.pay), approval.execution_id, run_config=UNTRACED)
    assert await resumed == "It is paid."
    assert bank.paid == [120]
    assert len(await desk.asked()) == 1


async def granted(desk: Desk, talk: Talk, bank: Bank) -> Approval:
    """Run until there is an approval, leave the run there, and grant it."""
    running = asyncio.create_task(talk.run(payer(bank.pay)))
    [approval] = await desk.pending()
    running.cancel()
    await desk.grant(approval)
    return approval


async def test_an_outage_between_two_grants_leaves_nothing_in_doubt(
    desk: Desk, talk: Talk, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [wanted("pay", f"call-{euros}", euros=euros) for euros in (1, 2)]
    asked = agent(Script(calls, "Done."), bank.pay)
    running = asyncio.create_task(talk.run(asked))
    approvals = await desk.pending(2)
    redeem, used = desk.gate.client.redeem, list[str]()

    async def then_away(approval_id: str, *more: Any) -> Any:
        if used:
            raise errors.Unavailable("away")
        used.append(approval_id)
        return await redeem(approval_id, *more)

    monkeypatch.setattr(desk.gate.client, "redeem", then_away)
    for approval in approvals:
        await desk.grant(approval)
    with pytest.raises(errors.Unavailable):
        await running
    monkeypatch.undo()
    assert bank.paid == []
    assert await talk.run(asked) == "Done."
    assert sorted(bank.paid) == [1, 2]


async def test_an_agent_made_otherwise_is_named_as_the_fault(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    running = asyncio.create_task(talk.run(payer(bank.pay)))
    [approval] = await desk.pending()
    running.cancel()
    other = Agent(name="other", model=Script("never said"))
    with pytest.raises(ValueError, match="agent must be built as it was"):
        await talk.approvals.resume(other, approval.execution_id, run_config=UNTRACED)
    assert (await desk.state(approval))[0] is ExecutionState.WAITING_APPROVAL


async def test_what_may_have_been_done_is_not_done_again(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    approval = await granted(desk, talk, bank)
    # As a process does that ends while its tool is at work.
    await desk.gate.client.redeem(approval.id, approval.payload, "perform-elsewhere")
    with pytest.raises(Doubt, match="not begun again"):
        await talk.run(payer(bank.pay))
    assert bank.paid == []


async def test_of_two_processes_that_go_on_at_once_one_makes_the_call(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    await granted(desk, talk, bank)
    results = await asyncio.gather(
        *(talk.run(payer(bank.pay)) for _ in range(2)), return_exceptions=True
    )
    assert "It is paid." in results
    assert all(each == "It is paid." or isinstance(each, Doubt) for each in results)
    assert bank.paid == [120]


async def test_a_cancelled_run_tells_the_agent_nothing(desk: Desk, talk: Talk, bank: Bank) -> None:
    running = asyncio.create_task(talk.run(payer(bank.pay)))
    [approval] = await desk.pending()
    await (await desk.people.get("operator")).cancel(approval.execution_id, "stop")
    with pytest.raises(StepFailed):
        await running
    assert (await desk.state(approval))[0] is ExecutionState.CANCELLED


async def test_what_a_run_raises_fails_the_execution(desk: Desk, talk: Talk, bank: Bank) -> None:
    with pytest.raises(AssertionError, match="no more turns"):
        await talk.run(agent(Script(), bank.pay))
    with pytest.raises(StepFailed, match="no more turns"):
        await talk.run(agent(Script(), bank.pay))
    assert await desk.asked() == []


class Away(Script):
    """A model that fails with these errors before it says its turns; None is a turn between."""

    def __init__(self, *turns: Turn, failures: Sequence[Exception | None]) -> None:
        super().__init__(*turns)
        self.failures = list(failures)

    async def get_response(self, *args: Any, **more: Any) -> ModelResponse:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return await super().get_response(*args, **more)


def answered(status: int) -> Any:
    return httpx.Response(status, request=httpx.Request("POST", "http://model"))


@pytest.mark.parametrize(
    "failure",
    [
        openai.APIConnectionError(request=answered(200).request),
        openai.RateLimitError("slower", response=answered(429), body=None),
        openai.InternalServerError("oh", response=answered(500), body=None),
        ConnectionError("reset"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_model_that_was_away_is_asked_again_by_the_same_call(
    desk: Desk, talk: Talk, bank: Bank, failure: Exception
) -> None:
    turns: list[Turn] = [[wanted("pay", "call-1", euros=120)], "Then not."]
    asked = agent(Away(*turns, failures=[failure, None, failure]), bank.pay)
    with pytest.raises(type(failure)):
        await talk.run(asked)
    running = asyncio.create_task(talk.run(asked))
    [approval] = await desk.pending()
    await desk.reject(approval, "too dear")
    with pytest.raises(type(failure)):
        await running
    assert await talk.run(asked) == "Then not."
    assert bank.paid == []


async def test_a_model_that_is_away_after_a_grant_was_used_fails_the_execution(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    turns: list[Turn] = [[wanted("pay", "call-1", euros=120)], "It is paid."]
    asked = agent(Away(*turns, failures=[None, ConnectionError("reset")]), bank.pay)
    running = asyncio.create_task(talk.run(asked))
    [approval] = await desk.pending()
    await desk.grant(approval)
    with pytest.raises(ConnectionError):
        await running
    with pytest.raises(StepFailed, match="reset"):
        await talk.run(asked)
    assert bank.paid == [120]


async def test_a_large_state_is_kept_and_one_too_large_fails_before_anybody_is_asked(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    letters = random.Random(1).choices(string.ascii_letters, k=400_000)

    def clerk(size: int) -> Agent[Any]:
        @function_tool
        def read() -> str:
            return "".join(letters[:size])

        made = agent(
            Script([wanted("read", "r")], [wanted("pay", "p", euros=1)], "Paid."), bank.pay
        )
        made.tools.append(read)
        return made

    running = asyncio.create_task(talk.run(clerk(150_000)))
    [approval] = await desk.pending()
    await desk.grant(approval)
    assert await running == "Paid."

    other = Talk(talk.approvals)
    with pytest.raises((errors.InvalidInput, errors.LimitExceeded)):
        await other.run(clerk(400_000))
    with pytest.raises(StepFailed):
        await other.run(clerk(400_000))
    assert len(await desk.asked()) == 1


async def test_another_input_under_the_same_key_is_refused(talk: Talk, bank: Bank) -> None:
    done = agent(Script("Hello."), bank.pay)
    assert await talk.run(done) == "Hello."
    with pytest.raises(errors.KeyReused):
        await talk.approvals.run(done, "Something else", key=talk.key, run_config=UNTRACED)


async def test_who_decides_may_depend_on_the_call(desk: Desk, bank: Bank) -> None:
    def policy(call: ToolCall) -> Policy:
        return require(2, group="finance") if call.arguments["euros"] > 100 else FINANCE

    talk = Talk(Approvals(desk.gate, policy, on_behalf_of="approver-b"))
    running = asyncio.create_task(talk.run(payer(bank.pay)))
    [approval] = await desk.pending()
    assert approval.policy.requirements[0].count == 2
    with pytest.raises(errors.NotEligible, match="four eyes"):
        await (await desk.people.get("approver-b")).grant(approval)
    running.cancel()


@dataclass
class Account:
    number: int


class Receipt(BaseModel):
    paid: int


async def test_a_context_and_a_typed_output_go_along(desk: Desk, talk: Talk) -> None:
    seen: list[int] = []

    @function_tool(needs_approval=True)
    def pay(context: RunContextWrapper[Account], euros: int) -> str:
        seen.append(context.context.number)
        return f"paid {euros}"

    clerk = Agent[Account](
        name="clerk",
        model=Script([wanted("pay", "call-1", euros=120)], '{"paid": 120}'),
        tools=[pay],
        output_type=Receipt,
    )
    running = asyncio.create_task(talk.run(clerk, context=Account(7)))
    [approval] = await desk.pending()
    await desk.grant(approval)
    assert await running == {"paid": 120}
    assert seen == [7]


async def test_without_the_context_that_it_needs_a_run_is_not_gone_on_with(
    desk: Desk, talk: Talk
) -> None:
    seen: list[int] = []

    @function_tool(needs_approval=True)
    def pay(context: RunContextWrapper[Account], euros: int) -> str:
        seen.append(context.context.number)
        return f"paid {euros}"

    model = Script([wanted("pay", "call-1", euros=120)], "It is paid.")
    clerk = Agent[Account](name="clerk", model=model, tools=[pay])
    running = asyncio.create_task(talk.run(clerk, context=Account(7)))
    [approval] = await desk.pending()
    running.cancel()
    await desk.grant(approval)
    with pytest.raises(ValueError, match="pass it again, as context="):
        await talk.run(clerk)
    assert await talk.run(clerk, context=Account(7)) == "It is paid."
    assert seen == [7]


async def test_arguments_that_are_no_json_are_shown_as_they_are(
    desk: Desk, talk: Talk, bank: Bank
) -> None:
    call = wanted("pay", "call-1").model_copy(update={"arguments": '{"euros": 1e999}'})
    running = asyncio.create_task(talk.run(agent(Script([call], "Hm."), bank.pay)))
    [approval] = await desk.pending()
    assert approval.payload == {"action": "pay", "arguments": '{"euros": 1e999}'}
    await desk.reject(approval, "what is that?")
    assert await running == "Hm."
