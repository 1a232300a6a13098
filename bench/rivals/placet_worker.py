"""The lifecycle as a workflow of Placet. Arguments: URL, token, grace in seconds."""

import asyncio
import sys
from datetime import timedelta
from typing import Any

from bench.rivals.channel import Channel
from placet import Engine, Run, require


async def prepare(given: Any) -> dict[str, Any]:
    return {"euros": 120, "for": given}


async def act(payload: Any) -> dict[str, Any]:
    return {"paid": payload["euros"]}


async def main() -> None:
    channel = Channel()
    url, token, grace = sys.argv[2:]
    engine = Engine(url, token=token, grace=timedelta(seconds=float(grace)))

    @engine.workflow
    async def lifecycle(run: Run, given: Any) -> Any:
        prepared = await run.step(prepare, given)
        clearance = await run.approval("Pay?", payload=prepared, policy=require(1, group="finance"))
        channel.report("woke", run.execution_id)
        result = await run.step(act, clearance.payload)
        channel.report("done", run.execution_id)
        return result

    await channel.wait_for_start()
    async with engine:
        channel.report("ready")
        async for _ in channel.commands():
            pass


if __name__ == "__main__":
    asyncio.run(main())
