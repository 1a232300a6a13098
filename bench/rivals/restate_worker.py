"""The lifecycle as a service of Restate. Argument: the port."""

import asyncio
import sys
from typing import Any

import hypercorn.asyncio
import restate
from hypercorn.config import Config

from bench.rivals.channel import Channel


async def main() -> None:
    channel = Channel()
    service = restate.Service("lifecycle")

    async def prepare(given: Any) -> dict[str, Any]:
        return {"euros": 120, "for": given}

    async def act(payload: Any) -> dict[str, Any]:
        return {"paid": payload["euros"]}

    @service.handler()
    async def run(context: restate.Context, name: str) -> Any:
        prepared = await context.run_typed("prepare", prepare, given={"n": 1})
        awakeable, decision = context.awakeable()
        channel.report("waits", name, awakeable)
        await decision
        channel.report("woke", name)
        result = await context.run_typed("act", act, payload=prepared)
        channel.report("done", name)
        return result

    await channel.wait_for_start()
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[2]}"]
    config.errorlog = "-"
    gone = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn.asyncio.serve(restate.app([service]), config, shutdown_trigger=gone.wait)
    )
    channel.report("ready")
    async for _ in channel.commands():
        pass
    gone.set()
    await serving


if __name__ == "__main__":
    asyncio.run(main())
