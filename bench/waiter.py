"""A process that waits for one decision, to be killed: it says ``waiting``, and then ``told``."""

import asyncio
import sys
from collections.abc import Awaitable
from uuid import UUID

import placet
from bench.alternatives import Table
from bench.ways import PLACET_METHODS

TABLE = "table"


async def main(way: str, *given: str) -> None:
    """Wait in this way. ``given`` is what it needs to find what it waits for."""
    if way == TABLE:
        url, id_ = given
        async with Table.open(url) as table:
            await _report(table.wait(UUID(id_)))
    else:
        url, token, id_ = given
        wait, _ = PLACET_METHODS[way]
        async with placet.Client(url, token) as client:
            approval = await client.approval(id_)
            assert approval is not None
            await _report(wait(client, approval))


async def _report(waiting: Awaitable[object]) -> None:
    print("waiting", flush=True)
    await waiting
    print("answered", flush=True)
    # Whatever is to be done now is not done: this is where the process is killed.
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
