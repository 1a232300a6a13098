"""A process that waits for one decision, to be killed: it says ``waiting``, and then ``told``."""

import asyncio
import sys
from uuid import UUID

import placet
from bench.alternatives import Bus, Table
from bench.ways import OF_PLACET

BUS, BUS_DECIDED, TABLE = "bus", "bus-decided", "table"
"""Not to be named as ways of Placet: the bus, the bus of a decider in this process, the table."""


async def main(way: str, *given: str) -> None:
    """Wait in this way. ``given`` is what it needs to find what it waits for."""
    match way:
        case "bus" | "bus-decided":
            await _bus(decided=way == BUS_DECIDED)
        case "table":
            url, id_ = given
            async with Table.open(url) as table:
                _say("waiting")
                await table.wait(UUID(id_))
        case _:
            url, token, id_ = given
            async with placet.Client(url, token) as client:
                approval = await client.approval(id_)
                assert approval is not None
                _say("waiting")
                await OF_PLACET[way](client, approval)
    _say("told")
    # Whatever is to be done now is not done: this is where the process is killed.
    await asyncio.Event().wait()


async def _bus(*, decided: bool) -> None:
    bus = Bus()
    async with bus.subscribed("topic") as messages:
        _say("waiting")
        if decided:
            bus.publish("topic", "GRANTED")
        await messages.get()


def _say(word: str) -> None:
    print(word, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
