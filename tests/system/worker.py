"""A worker process of the tests: an engine with one workflow, until it is told to end.

Arguments: the service's address, the lease in seconds. The token comes by PLACET_TOKEN.
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from placet import Engine, Run, require


def note(log: str, line: str) -> None:
    """Write down, outside of the service, that a step was done."""
    with Path(log).open("a") as file:
        file.write(line + "\n")


def main() -> None:
    """Serve until SIGTERM."""
    url, lease = sys.argv[1:]
    engine = Engine(
        url, token=os.environ["PLACET_TOKEN"], lease=timedelta(seconds=float(lease)), capacity=500
    )

    @engine.workflow
    async def noted(run: Run, log: str) -> str:
        await run.step(note, log, f"first {run.execution_id}", name="first")
        clearance = await run.approval("Go on", payload=1, policy=require(1, group="finance"))
        await run.step(note, log, f"last {run.execution_id}", name="last", clearance=clearance)
        return engine.worker

    asyncio.run(engine.serve())


if __name__ == "__main__":
    main()
