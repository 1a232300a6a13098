"""An agent whose harmless tools run at once, and whose other tools wait until a person agrees.

The model here is a list of calls; put a real model in its place. People see the call with its
arguments, and exactly that call runs.

    PLACET_TOKEN=... python -m examples.agent_tools
    placet --as approver-a approvals
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from placet import Client, Gate, Rejected, require, requires_approval


class Call(NamedTuple):
    """A tool call of the model."""

    tool: str
    arguments: dict[str, Any]


SCRIPT = (
    Call("look_up", {"customer": "c-17"}),
    Call("refund", {"customer": "c-17", "euros": 120}),
    Call("refund", {"customer": "c-17", "euros": 90_000}),
)

Tools = dict[str, Callable[..., Awaitable[Any]]]


def tools(gate: Gate, conversation: str) -> Tools:
    """Return the tools of one conversation. In it, a repeated call has the same approval."""

    async def look_up(customer: str) -> str:
        return f"{customer} has paid 120 euros"

    @requires_approval(
        gate,
        name="refund",
        policy=require(1, group="finance"),
        title="Refund {euros} euros to {customer}",
        key=lambda customer, euros: f"{conversation}/{customer}/{euros}",
    )
    async def refund(customer: str, euros: int) -> str:
        return f"refunded {euros} euros to {customer}"

    return {"look_up": look_up, "refund": refund}


async def converse(available: Tools, model: Iterable[Call]) -> AsyncIterator[str]:
    """Run the model's calls, and yield the answer to each."""
    for call in model:
        try:
            yield str(await available[call.tool](**call.arguments))
        except Rejected as rejected:
            yield f"people said no: {rejected}"


async def main() -> None:
    """Let the agent work on one conversation."""
    address = os.environ.get("PLACET_URL", "http://127.0.0.1:8000")
    async with Client(address, os.environ["PLACET_TOKEN"]) as client:
        async for told in converse(tools(Gate(client), "conversation-1"), SCRIPT):
            print(told)


if __name__ == "__main__":
    asyncio.run(main())
