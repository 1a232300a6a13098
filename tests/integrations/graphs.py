"""Graphs that stop for people; run as a program, one that waits until it is killed."""

import asyncio
import operator
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt

from placet import Client, Gate, require
from placet.langgraph import Approvals

FINANCE = require(1, group="finance")
ALL = ("accept", "edit", "respond", "ignore")

Graph = CompiledStateGraph[Any, Any, Any, Any]


class State(TypedDict):
    """What the nodes were answered, in order."""

    answers: Annotated[list[Any], operator.add]


class Node(Protocol):
    """What LangGraph calls."""

    def __call__(self, state: State) -> dict[str, Any]: ...


def wish(action: str, allowed: Sequence[str] = ALL, **arguments: Any) -> dict[str, Any]:
    """Give a HumanInterrupt of the Agent Inbox."""
    return {
        "action_request": {"action": action, "args": arguments},
        "config": {f"allow_{each}": each in allowed for each in ALL},
        "description": f"About to {action}",
    }


def asking(*wishes: Any) -> Node:
    """Give a node that interrupts once for each wish, one after the other."""

    def node(state: State) -> dict[str, Any]:
        del state
        return {"answers": [interrupt(each) for each in wishes]}

    return node


def graph(saver: BaseCheckpointSaver[Any] | None, *nodes: Node) -> Graph:
    """Give a graph whose nodes run side by side."""
    builder = StateGraph(State)
    for number, node in enumerate(nodes):
        builder.add_node(f"node-{number}", node)
        builder.add_edge(START, f"node-{number}")
    return builder.compile(checkpointer=saver)


async def main(url: str, token: str, queue: str, database_url: str, thread: str) -> None:
    """Interrupt, and wait for people."""
    async with (
        AsyncPostgresSaver.from_conn_string(database_url) as saver,
        Client(url, token) as client,
    ):
        await saver.setup()
        asked = graph(saver, asking(wish("pay", euros=120), wish("pay", euros=7)))
        config: Any = {"configurable": {"thread_id": thread}}
        approvals = Approvals(Gate(client, queue=queue), FINANCE)
        await approvals.run(asked, {"answers": []}, config)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
