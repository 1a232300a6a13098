"""The lifecycle as a workflow of DBOS. Argument: the address of the database."""

import asyncio
import sys
from typing import Any

from dbos import DBOS, SetWorkflowID

from bench.rivals.channel import Channel

DAY_SECONDS = 86_400


async def main() -> None:
    channel = Channel()
    DBOS(config={"name": "lifecycle", "system_database_url": sys.argv[2], "log_level": "ERROR"})

    @DBOS.step()
    async def prepare(given: Any) -> dict[str, Any]:
        return {"euros": 120, "for": given}

    @DBOS.step()
    async def act(payload: Any) -> dict[str, Any]:
        return {"paid": payload["euros"]}

    @DBOS.workflow()
    async def lifecycle(name: str) -> Any:
        prepared = await prepare({"n": 1})
        channel.report("waits", name)
        await DBOS.recv_async("decision", timeout_seconds=DAY_SECONDS)
        channel.report("woke", name)
        result = await act(prepared)
        channel.report("done", name)
        return result

    await channel.wait_for_start()
    # A worker of the same name takes over when it is launched.
    await asyncio.to_thread(DBOS.launch)
    channel.report("ready")
    starting: set[asyncio.Task[Any]] = set()

    async def start(name: str) -> None:
        with SetWorkflowID(name):
            await DBOS.start_workflow_async(lifecycle, name)

    async for [name] in channel.commands():
        task = asyncio.create_task(start(name))
        starting.add(task)
        task.add_done_callback(starting.discard)


if __name__ == "__main__":
    asyncio.run(main())
