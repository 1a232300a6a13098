"""A workflow that does what its input says, and an engine for it in a process of its own.

A program is a list of actions: ``["step", 3]``, ``["pay", "a"]`` (for which it asks people),
``["sleep"]``, or ``["both", program, program]``. Arguments: address, token, queue, and the file to
which each payment is added.
"""

import asyncio
import random
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from placet import Doubt, Engine, Run, require

DOUBT = "doubt"
FINANCE = require(1, group="finance")


def program(chance: random.Random, depth: int = 2) -> list[Any]:
    """Return a program."""
    kinds = ["step", "step", "pay", "sleep"] + ["both"] * bool(depth)
    made: list[Any] = []
    for kind in chance.choices(kinds, k=chance.randint(2, 4)):
        match kind:
            case "step":
                made.append([kind, chance.randint(0, 99)])
            case "pay":
                made.append([kind, f"{chance.getrandbits(64):x}"])
            case "sleep":
                made.append([kind])
            case _:
                made.append([kind, program(chance, depth - 1), program(chance, depth - 1)])
    return made


def expected(actions: list[Any]) -> list[Any]:
    """Return the result of a program that nothing stops."""
    results: list[Any] = []
    for kind, *rest in actions:
        match kind:
            case "step":
                results.append(rest[0] * 2)
            case "pay":
                results.append(f"paid {rest[0]}")
            case "both":
                results.append([expected(each) for each in rest])
    return results


async def perform(run: Run, actions: list[Any], payments: Path) -> list[Any]:
    """Do what a program says."""

    async def double(number: int) -> int:
        await asyncio.sleep(random.uniform(0, 0.02))
        return number * 2

    async def pay(what: str) -> str:
        with payments.open("a") as file:
            file.write(f"{what}\n")
        await asyncio.sleep(random.uniform(0, 0.02))
        return f"paid {what}"

    results: list[Any] = []
    for kind, *rest in actions:
        match kind:
            case "step":
                results.append(await run.step(double, rest[0]))
            case "pay":
                clearance = await run.approval("Pay", payload=rest[0], policy=FINANCE)
                try:
                    results.append(await run.step(pay, clearance.payload, clearance=clearance))
                except Doubt:
                    results.append(DOUBT)
            case "both":
                both = (perform(run, each, payments) for each in rest)
                results.append(await asyncio.gather(*both))
            case _:
                await run.sleep(0.05)
    return results


async def main() -> None:
    url, token, queue, file = sys.argv[1:]
    engine = Engine(url, token=token, queues=[queue], grace=timedelta(seconds=0.1))

    @engine.workflow
    async def programmed(run: Run, given: list[Any]) -> list[Any]:
        return await perform(run, given, Path(file))

    await engine.serve()


if __name__ == "__main__":
    asyncio.run(main())
