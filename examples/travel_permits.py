r"""Travel permits: documents are submitted, decided by one role after the other, and taken back.

Events from outside come as signals: an employee submits a document or takes it back, a trip starts,
a payment is handled. Each submitted document needs the approval of all its roles. If it is
submitted again or taken back, the workflow no longer waits for the approval, which withdraws it.

    PLACET_TOKEN=... python -m examples.travel_permits
    placet --as operator start travel_permit --queue travel --input '"permit 4711"'
    placet --as operator signal ID happened \
        --payload '{"what": "submitted", "document": "Permit", "roles": ["finance", "legal"]}'
    placet --as operator signal ID happened --payload '{"what": "closed"}'
"""

import asyncio
import os
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Literal

from placet import Engine, Run, require
from placet.errors import NotCleared

QUEUE = "travel"
HAPPENED = "happened"


@dataclass(frozen=True)
class Happened:
    """An event from outside. ``key`` names one submission of a document."""

    what: Literal["submitted", "taken back", "done", "closed"]
    document: str = ""
    key: str | None = None
    roles: tuple[str, ...] = ()


def record(what: str) -> str:
    """Note something that was done. A real one stores it."""
    return what


async def decided(run: Run, permit: str, submitted: Happened) -> str:
    """Ask every role to approve a document, and return the result."""
    policy = reduce(and_, (require(1, group=role) for role in submitted.roles))
    payload = {"permit": permit, "document": submitted.document}
    try:
        await run.approval(submitted.document, payload=payload, policy=policy, key=submitted.key)
    except NotCleared as refused:
        return refused.approval.status.lower()
    return "granted"


async def travel_permit(run: Run, permit: str) -> dict[str, str]:
    """Follow a permit until it is closed, and return the result of each document."""
    documents: dict[str, asyncio.Task[str]] = {}
    while (event := await run.signal(HAPPENED, Happened)).what != "closed":
        if event.what == "done":
            await run.step(record, event.document, key=event.key)
            continue
        earlier = documents.pop(event.document, None)
        if earlier is not None:
            earlier.cancel()
        if event.what == "submitted":
            documents[event.document] = asyncio.ensure_future(decided(run, permit, event))
    return {name: await document for name, document in documents.items()}


def engine(url: str, token: str, *, queue: str = QUEUE) -> Engine:
    """Return an engine that has the workflow."""
    made = Engine(url, token=token, queues=[queue])
    made.workflow(travel_permit)
    return made


if __name__ == "__main__":
    address = os.environ.get("PLACET_URL", "http://127.0.0.1:8000")
    asyncio.run(engine(address, os.environ["PLACET_TOKEN"]).serve())
