"""The lifecycle as a graph of LangGraph. Argument: the connection string of the database."""

import asyncio
import sys
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from bench.rivals.channel import Channel

CONNECTIONS = 20
CONNECTION = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


class State(TypedDict, total=False):
    given: dict[str, Any]
    prepared: dict[str, Any]
    result: dict[str, Any]


async def main() -> None:
    channel = Channel()

    async def prepare(state: State) -> State:
        return {"prepared": {"euros": 120, "for": state["given"]}}

    async def approve(state: State, config: RunnableConfig) -> State:
        interrupt(state["prepared"])
        channel.report("woke", config["configurable"]["thread_id"])
        return {}

    async def act(state: State) -> State:
        return {"result": {"paid": state["prepared"]["euros"]}}

    builder = StateGraph(State)
    builder.add_node("prepare", prepare)
    builder.add_node("approve", approve)
    builder.add_node("act", act)
    builder.add_edge(START, "prepare")
    builder.add_edge("prepare", "approve")
    builder.add_edge("approve", "act")
    builder.add_edge("act", END)
    await channel.wait_for_start()
    async with AsyncConnectionPool[Any](
        sys.argv[2], min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=CONNECTION
    ) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        graph = builder.compile(checkpointer=saver)
        channel.report("ready")

        async def invoke(name: str, given: State | Command[Any], reaches: str) -> None:
            config: RunnableConfig = {"configurable": {"thread_id": name}}
            # "sync" commits each checkpoint before the next node, as the other libraries do.
            await graph.ainvoke(given, config, durability="sync")
            channel.report(reaches, name)

        running: set[asyncio.Task[None]] = set()
        async for what, name in channel.commands():
            work = (
                invoke(name, {"given": {"n": 1}}, "waits")
                if what == "start"
                else invoke(name, Command(resume="granted"), "done")
            )
            task = asyncio.create_task(work)
            running.add(task)
            task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(main())
