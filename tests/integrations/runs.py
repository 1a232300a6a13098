"""An agent of the OpenAI Agents SDK; run as a program, one that waits until it is killed."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Usage, function_tool
from agents.items import TResponseStreamEvent
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputItem,
    ResponseOutputMessage,
    ResponseOutputText,
)

from placet import Client, Gate, require
from placet.openai_agents import Approvals

FINANCE = require(1, group="finance")
UNTRACED = RunConfig(tracing_disabled=True)

Turn = str | Sequence[ResponseFunctionToolCall]


def wanted(name: str, call_id: str, **arguments: Any) -> ResponseFunctionToolCall:
    """Give a call as a model writes it."""
    return ResponseFunctionToolCall(
        type="function_call", name=name, call_id=call_id, arguments=json.dumps(arguments)
    )


class Script(Model):
    """A model that says its turns in order. Which one it is at, it reads from the conversation."""

    def __init__(self, *turns: Turn) -> None:
        self.turns = turns
        self.told: list[str] = []

    async def get_response(
        self,
        system_instructions: str | None,
        input: Any,  # noqa: A002 - the library's name
        *rest: Any,
        **more: Any,
    ) -> ModelResponse:
        del system_instructions, rest, more
        items = [] if isinstance(input, str) else input
        self.told = [each["output"] for each in items if each.get("type") == "function_call_output"]
        calls = sum(each.get("type") == "function_call" for each in items)
        return ModelResponse(output=self._turn(calls), usage=Usage(), response_id=None)

    def _turn(self, calls: int) -> list[ResponseOutputItem]:
        for turn in self.turns:
            if isinstance(turn, str):
                return [_message(turn)]
            if calls == 0:
                return list(turn)
            calls -= len(turn)
        raise AssertionError("the script has no more turns")

    def stream_response(self, *args: Any, **more: Any) -> AsyncIterator[TResponseStreamEvent]:
        raise NotImplementedError(args, more)


def _message(text: str) -> ResponseOutputMessage:
    said = ResponseOutputText(type="output_text", text=text, annotations=[])
    return ResponseOutputMessage(
        id="message", type="message", role="assistant", status="completed", content=[said]
    )


def agent(model: Model, pays: Callable[[int], str], **more: Any) -> Agent[Any]:
    """Give an agent whose tool needs approval, and another one's not."""

    @function_tool(needs_approval=True)
    def pay(euros: int) -> str:
        return pays(euros)

    @function_tool
    def look_up(customer: str) -> str:
        return f"{customer} owes nothing"

    return Agent(name="clerk", model=model, tools=[pay, look_up], **more)


def payer(pays: Callable[[int], str]) -> Agent[Any]:
    """Give an agent that wants to pay once."""
    return agent(Script([wanted("pay", "call-1", euros=120)], "It is paid."), pays)


async def main(url: str, token: str, queue: str, key: str) -> None:
    """Ask for approval, and wait for people."""
    async with Client(url, token) as client:
        approvals = Approvals(Gate(client, queue=queue), FINANCE)
        await approvals.run(payer(str), "Pay the invoice", key=key, run_config=UNTRACED)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
