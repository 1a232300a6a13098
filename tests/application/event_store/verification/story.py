"""A log in which everything has happened that an audit looks at."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from application.directory import Directory, KnownPerson
from application.event_store.snapshots import SNAPSHOT_INTERVAL
from application.substitutes import Substitutes
from domain.approvals.commands import (
    Decide,
    RedeemApproval,
    RequestApproval,
)
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import Approval, Verdict
from domain.approvals.working_hours import Hours, WorkingHours
from domain.directory.commands import EndSubstitute, SetSubstitute
from domain.directory.state import PersonSource
from domain.execution.commands import (
    CancelExecution,
    FailExecution,
    ParkExecution,
    RetryExecution,
    SetTimer,
    StartChild,
)
from domain.execution.events import ChildEnded, Resumed, Started, TimerFired
from domain.identifiers import child_id, person_stream_id, standing_grant_id
from domain.standing_grants.commands import CreateStandingGrant
from domain.values import Label
from tests.application.server_process import (
    ServerProcess,
    accepted,
    claim,
    complete,
    grant,
    step,
)
from tests.domain.ask import needs, policy
from tests.domain.people import ADAM, ANN, BOB, CLEO, ENGINE, OLIVIA, approver
from tests.projections.tables import project
from tests.support.patience import HANGS

Story = dict[str, UUID]
"""The id of each execution, and of other streams, by its name in the story."""


FORM = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}},
    "required": ["risk"],
}


class Told(NamedTuple):
    url: str
    story: Story


async def write(process: ServerProcess) -> Story:
    """Write the story, as a server does."""
    story = {
        "permit": await _permit(process),
        "waiting": await _waiting(process),
        "amended": await _amended(process),
        "retried": await _retried(process),
        "cancelled": await _cancelled(process),
        "parked": await _parked(process),
        "released": await _released(process),
        "fired": await _fired(process),
        "long": await _long(process),
        "timed": await _timed(process),
        "new": (await process.start()).id,
    }
    story["parent"], story["child"] = await _family(process)
    story["standing"], story["allowed"] = await _allowed(process)
    story["person"] = await _person(process)
    story["substituted"] = await _substituted(process)
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
    """1 start, 2 claim, 3 timer, 4 request with a form of two people, 5 bob."""
    execution = await process.start(key="trip-2")
    await process.do(claim(execution.id))
    await process.do(_timer(execution.id, timedelta(days=90), fence=1))
    both = policy(needs("finance", count=2))
    approval = await _asked(process, execution.id, policy=both, form=FORM)
    await process.do(grant(approval, by=BOB, answers={"risk": "low"}))
    return execution.id


async def _amended(process: ServerProcess) -> UUID:
    """1 start, 2 request of two people, 3 ann, 4 an amendment by bob, 5 bob."""
    execution = await process.start()
    asks = policy(needs("finance", count=2), amendable=True)
    approval = await _asked(process, execution.id, fence=None, policy=asks)
    await process.do(grant(approval, by=ANN))
    amending = Decide(
        by=BOB,
        execution_id=execution.id,
        ordinal=1,
        verdict=Verdict.GRANTED,
        digest=approval.digest,
        amended_payload={"cost": 90},
    )
    await process.do(amending)
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


async def _timed(process: ServerProcess) -> UUID:
    """1 start, 2 request that is escalated after a hundred hours of a calendar."""
    execution = await process.start()
    counted = policy(
        needs("finance"),
        within=timedelta(hours=100),
        calendar="office",
        remind_before=(timedelta(hours=2),),
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("chiefs",),
    )
    week = [[Hours(timedelta(hours=9), timedelta(hours=17))]] * 7
    office = WorkingHours(ZoneInfo("Europe/Berlin"), week)
    await _asked(process, execution.id, fence=None, policy=counted, working_hours=office)
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


async def _allowed(process: ServerProcess) -> tuple[UUID, UUID]:
    """The grant: 1 created, 2 used. The execution: 1 start, 2 request, 3 granted, 4 resumed."""
    grant_id = standing_grant_id(ANN.id, "books")
    created = CreateStandingGrant(
        by=ANN,
        execution_id=grant_id,
        workflow="books",
        payload_schema={"properties": {"cost": {"maximum": 500}}},
        max_uses=3,
        expires_at=datetime.now(UTC) + timedelta(days=1),
        comment="Books are fine",
        idempotency_key="books",
    )
    await process.do(created)
    execution = await process.start(workflow="books")
    await _asked(process, execution.id, fence=None)
    await process.until(execution.id, Resumed)
    async with asyncio.timeout(HANGS):
        while await _handled(process) < await process.reader.positions.last():
            await asyncio.sleep(0.02)
    return grant_id, execution.id


async def _person(process: ServerProcess) -> UUID:
    """1 recorded, 2 a substitute for all groups, 3 one for finance, 4 the first one ended."""
    directory = Directory(process.pool, process.writer)
    ann = KnownPerson(
        id="ann",
        name="Ann",
        emails=("Ann@Example.org",),
        groups=ANN.groups,
        roles=ANN.roles,
        source=PersonSource.ADMIN,
    )
    accepted(await directory.record(ADAM, ann))
    until = datetime.now(UTC) + timedelta(days=7)
    for groups in (None, frozenset({"finance"})):
        by = SetSubstitute(by=ANN, person="ann", substitute="bob", groups=groups, ends_at=until)
        accepted(await directory.send(by))
    accepted(await directory.send(EndSubstitute(by=ADAM, person="ann", number=1)))
    return person_stream_id("ann")


async def _substituted(process: ServerProcess) -> UUID:
    """1 start, 2 request, 3 granted by bob for ann by the second of them, 4 resumed."""
    execution = await process.start()
    approval = await _asked(process, execution.id, fence=None)
    bob = await Substitutes(process.pool).of(approver("bob"))
    await process.do(grant(approval, by=bob))
    return execution.id


async def _handled(process: ServerProcess) -> int:
    async with process.pool.connection() as connection:
        [(position,)] = await (
            await connection.execute(
                "SELECT position FROM projection_positions WHERE name = 'standing_grant_uses'"
            )
        ).fetchall()
    return int(position)


def _timer(id_: UUID, delay: timedelta, fence: int | None = None) -> SetTimer:
    return SetTimer(by=ENGINE, execution_id=id_, key="due", delay=delay, fence=fence)
