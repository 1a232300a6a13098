"""Starts executions at a steady rate, from a separate process."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import placet
from bench.stack import Stack


@contextmanager
def steady_load(server: Stack, rate: int, seconds: float) -> Iterator[None]:
    """Start ``rate`` executions a second during the block, for at most so many seconds."""
    command = [sys.executable, "-m", "bench.steady", server.url, server.tokens["operator"]]
    with subprocess.Popen(
        [*command, str(rate), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield
        finally:
            process.terminate()


async def main(url: str, token: str, rate: int, seconds: float) -> None:
    """Start executions without waiting for the answers, so that the rate is steady."""
    clock = asyncio.get_running_loop().time
    async with placet.Client(url, token) as client, asyncio.TaskGroup() as group:
        await client.start("steady")
        print("begun", flush=True)
        began = clock()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(began + number / rate - clock())
            group.create_task(client.start("steady", {"number": number}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
