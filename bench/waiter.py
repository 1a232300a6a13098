"""A process that waits for one decision. It prints ``waiting``, and then ``answered``."""

import asyncio
import sys
from collections.abc import Awaitable
from uuid import UUID

import placet
from bench.alternatives import Table
from bench.ways import PLACET_METHODS

TABLE = "table"


async def main(way: str, *given: str) -> None:
    """Wait in this way. ``given`` says where and what to wait for."""
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
    # The process is killed here, before it could act on the decision.
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
