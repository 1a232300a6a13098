"""A log in which everything has happened that an audit looks at."""

import asyncio
import time
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import psycopg

from application.event_store.snapshots import SNAPSHOT_INTERVAL
from domain.approvals.state import Approval, Verdict
from domain.execution.children import child_id
from domain.execution.commands import (
    CancelExecution,
    Decide,
    FailExecution,
    ParkExecution,
    RedeemApproval,
    RequestApproval,
    RetryExecution,
    SetTimer,
    StartChild,
)
from domain.execution.events import ChildEnded, Started, TimerFired
from domain.values import Label
from tests.application.server_process import HANGS, ServerProcess, claim, complete, grant, step
from tests.domain.ask import needs, policy
from tests.domain.people import ANN, BOB, CLEO, ENGINE, OLIVIA
from tests.projections.tables import project

Story = dict[str, UUID]
"""The id of each execution, by its name in the story."""


class Told(NamedTuple):
    url: str
    story: Story


async def write(process: ServerProcess) -> Story:
    """Write the story, as a server does."""
    story = {
        "permit": await _permit(process),
        "waiting": await _waiting(process),
        "retried": await _retried(process),
        "cancelled": await _cancelled(process),
        "parked": await _parked(process),
        "released": await _released(process),
        "fired": await _fired(process),
        "long": await _long(process),
        "new": (await process.start()).id,
    }
    story["parent"], story["child"] = await _family(process)
    return story


def tell(url: str) -> Story:
    """Write the story into a database with all tables, and project it."""

    async def told() -> Story:
        async with ServerProcess.open(url) as process:
            return await write(process)

    story = asyncio.run(told())
    project(url)
    return story


async def _asked(
    process: ServerProcess, id_: UUID, key: str = "permit", **rest: object
) -> Approval:
    fields = {"title": "Trip", "payload": {"cost": 120}, "policy": policy(), "fence": 1, **rest}
    command = RequestApproval(by=ENGINE, execution_id=id_, key=key, **fields)  # type: ignore[arg-type]
    outcome = await process.do(command)
    assert outcome.ordinal is not None
    return outcome.execution.approvals[outcome.ordinal]


async def _permit(process: ServerProcess) -> UUID:
    """1 start, 2 claim, 3 step, 4 request, 5 ann, 6 cleo, 7 resumed, 8 redeemed, 9 completed."""
    labels = (Label(name="team", value="maths"),)
    execution = await process.start(
        key="trip-1", on_behalf_of="tom", labels=labels, input={"who": "us"}
    )
    await process.do(claim(execution.id))
    await process.do(step(execution.id, "estimate", fence=1, result=120))
    approval = await _asked(process, execution.id, policy=policy(needs("finance"), needs("legal")))
    await process.do(grant(approval, by=ANN))
    await process.do(grant(approval, by=CLEO))
    redemption = RedeemApproval(
        by=ENGINE,
        execution_id=execution.id,
        ordinal=1,
        fence=1,
        payload_digest=approval.payload_digest,
        redemption_key="book",
    )
    await process.do(redemption)
    await process.do(complete(execution.id, fence=1, result="booked"))
    return execution.id


async def _waiting(process: ServerProcess) -> UUID:
    """1 start, 2 claim, 3 timer, 4 request of two people, 5 bob."""
    execution = await process.start(key="trip-2")
    await process.do(claim(execution.id))
    await process.do(_timer(execution.id, timedelta(days=90), fence=1))
    approval = await _asked(process, execution.id, policy=policy(needs("finance", count=2)))
    await process.do(grant(approval, by=BOB))
    return execution.id


async def _retried(process: ServerProcess) -> UUID:
    """1 start, 2 claim, 3 request, 4 rejection, 5 resumed, 6 failed, 7 retried, 8 request."""
    execution = await process.start()
    await process.do(claim(execution.id))
    approval = await _asked(process, execution.id)
    rejection = Decide(
        by=BOB,
        execution_id=execution.id,
        ordinal=1,
        verdict=Verdict.REJECTED,
        digest=approval.digest,
        comment="too dear",
    )
    await process.do(rejection)
    await process.do(FailExecution(by=ENGINE, execution_id=execution.id, fence=1, error="no"))
    await process.do(RetryExecution(by=OLIVIA, execution_id=execution.id, expected_version=6))
    await _asked(process, execution.id)
    return execution.id


async def _cancelled(process: ServerProcess) -> UUID:
    """1 start, 2 and 3 requests, 4 and 5 withdrawn, 6 cancelled."""
    execution = await process.start()
    await _asked(process, execution.id, "one", fence=None)
    await _asked(process, execution.id, "two", fence=None)
    await process.do(CancelExecution(by=OLIVIA, execution_id=execution.id, reason="no trip"))
    return execution.id


async def _parked(process: ServerProcess) -> UUID:
    """1 start, 2 claim, 3 parked."""
    execution = await process.start()
    await process.do(claim(execution.id))
    await process.do(ParkExecution(by=ENGINE, execution_id=execution.id, fence=1, reason="odd"))
    return execution.id


async def _released(process: ServerProcess) -> UUID:
    """1 start, 2 claim."""
    execution = await process.start()
    await process.do(claim(execution.id))
    assert await process.leases.release(ENGINE, "worker-1", [execution.id]) == [execution.id]
    return execution.id


async def _fired(process: ServerProcess) -> UUID:
    """1 start, 2 timer, 3 fired."""
    execution = await process.start()
    await process.do(_timer(execution.id, timedelta(milliseconds=1)))
    await process.until(execution.id, TimerFired)
    return execution.id


async def _long(process: ServerProcess) -> UUID:
    """1 start, then as many steps as a snapshot needs."""
    execution = await process.start(input={"amount": 100})
    await process.send(*[step(execution.id, str(n)) for n in range(SNAPSHOT_INTERVAL)])
    end = time.monotonic() + HANGS
    with psycopg.connect(process.url, autocommit=True) as connection:
        while not connection.execute("SELECT FROM execution_snapshots").rowcount:
            assert time.monotonic() < end, "no snapshot was written"
            await asyncio.sleep(0.01)
    return execution.id


async def _family(process: ServerProcess) -> tuple[UUID, UUID]:
    """The parent: 1 start, 2 child started, 3 child ended. The child: 1 start, 2 completed."""
    parent = await process.start()
    order = StartChild(
        by=ENGINE, execution_id=parent.id, key="hotel", workflow="lodging", queue="default"
    )
    await process.do(order)
    child = child_id(parent.id, "hotel", 1)
    await process.until(child, Started)
    await process.do(complete(child, result={"room": 12}))
    await process.until(parent.id, ChildEnded)
    return parent.id, child


def _timer(id_: UUID, delay: timedelta, fence: int | None = None) -> SetTimer:
    return SetTimer(by=ENGINE, execution_id=id_, key="due", delay=delay, fence=fence)
