r"""A contract that waits for a signature for up to a month, with a reminder every week.

Nothing runs while it waits: the timers are in the service's log, and survive every restart. Run it
beside a development server, then start a contract:

    PLACET_TOKEN=... python -m examples.long_wait
    placet --as operator start contract --queue contracts --input '{"with": "a supplier"}'
"""

import asyncio
import os
from datetime import timedelta
from itertools import count
from typing import Any

from placet import Engine, Rejected, Run, require

QUEUE = "contracts"
PATIENCE = timedelta(days=30)
REMIND_EVERY = timedelta(days=7)


def remind(contract: dict[str, Any], number: int) -> str:
    """Remind the people who can decide. A real one sends mail."""
    return f"reminder {number}: the contract with {contract['with']} waits"


def sign(contract: dict[str, Any]) -> dict[str, Any]:
    """Sign the contract. A real one calls a signing service."""
    return {"signed": True, "with": contract["with"]}


async def reminders(run: Run, contract: dict[str, Any]) -> None:
    """Remind people every week, until this task is cancelled."""
    for number in count(1):
        await run.sleep(REMIND_EVERY)
        await run.step(remind, contract, number)


async def contract(run: Run, terms: dict[str, Any]) -> dict[str, Any]:
    """Ask, remind, and give up after a month. Then the approval is withdrawn."""
    reminding = asyncio.ensure_future(reminders(run, terms))
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            clearance = await run.approval(
                f"Contract with {terms['with']}", payload=terms, policy=require(1, group="legal")
            )
    except TimeoutError:
        return {"signed": False, "because": "nobody decided within a month"}
    except Rejected as rejected:
        return {"signed": False, "because": str(rejected)}
    reminding.cancel()
    return await run.step(sign, clearance.payload, clearance=clearance)


def engine(url: str, token: str, *, queue: str = QUEUE) -> Engine:
    """Return an engine that has the workflow."""
    made = Engine(url, token=token, queues=[queue])
    made.workflow(contract)
    return made


if __name__ == "__main__":
    address = os.environ.get("PLACET_URL", "http://127.0.0.1:8000")
    asyncio.run(engine(address, os.environ["PLACET_TOKEN"]).serve())
