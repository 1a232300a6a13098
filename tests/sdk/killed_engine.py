"""An engine in a process of its own, to be killed. Arguments: address, token, queue.

It prints a line when its step has begun, which does not end, and when a heartbeat was answered.
"""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any

from placet import ChangesRequested, Doubt, Engine, Run, require
from placet.models.worker_responses import Heartbeat

GRACE = timedelta(seconds=0.1)
FINANCE = require(1, group="finance")


def engine(url: str, token: str, queue: str, goes_on: asyncio.Event) -> Engine:
    """Give one whose step ends when it is let go on, and whose lease nobody could wait for."""
    made = Engine(url, token=token, queues=[queue], lease=timedelta(hours=1), grace=GRACE)

    @made.workflow(name="works")
    async def works(run: Run) -> str:
        return await run.step(work)

    @made.workflow(name="pays")
    async def pays(run: Run) -> str:
        clearance = await run.approval("Pay", payload={"euros": 120}, policy=FINANCE)
        try:
            return await run.step(work, clearance=clearance)
        except Doubt:
            found = await run.approval("Was it paid?", payload={"euros": 120}, policy=FINANCE)
            return f"paid, says {found.decisions[0].by.id}"

    @made.workflow(name="revises")
    async def revises(run: Run) -> str:
        async def cheaper(offer: dict[str, int], _: ChangesRequested) -> dict[str, int]:
            await run.step(work)
            return {"euros": offer["euros"] - 10}

        clearance = await run.approval(
            "Pay", payload={"euros": 120}, policy=FINANCE, revise=cheaper
        )
        return f"round {clearance.approval.round} for {clearance.payload['euros']}"

    @made.workflow(name="fails")
    async def fails(run: Run) -> str:
        return await run.step(frail, retries=3, pause=60)

    async def frail() -> str:
        if not goes_on.is_set():
            tell("begun")
            msg = "away"
            raise OSError(msg)
        return made.worker

    async def work() -> str:
        tell("begun")
        await goes_on.wait()
        return made.worker

    _add_killing(made, goes_on)
    return made


def _add_killing(made: Engine, goes_on: asyncio.Event) -> None:
    @made.workflow(name="kills")
    async def kills(run: Run) -> str:
        return await run.step(die)

    @made.workflow(name="kills in its code")
    async def kills_in_its_code(_: Run) -> str:
        return die()

    def die() -> str:
        if not goes_on.is_set():
            os._exit(1)
        return made.worker


def tell(line: str) -> None:
    """Say how far it is."""
    print(line, flush=True)  # noqa: T201 - whoever kills it waits for that


async def main() -> None:
    url, token, queue = sys.argv[1:]
    made = engine(url, token, queue, asyncio.Event())
    heartbeat = made.client.leases.heartbeat

    async def told(*args: Any, **more: Any) -> Heartbeat:
        beat = await heartbeat(*args, **more)
        tell("beaten")
        return beat

    made.client.leases.heartbeat = told  # type: ignore[method-assign]
    await made.serve()


if __name__ == "__main__":
    asyncio.run(main())
