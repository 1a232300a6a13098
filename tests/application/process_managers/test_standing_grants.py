"""What was allowed in advance is decided once, also if the server is killed between the steps."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from msgspec.structs import replace

from application.command_handling.outcomes import Outcome
from application.command_handling.requests import Request
from application.directory import Directory, KnownPerson
from application.process_managers.standing_grants import StandingGrantProcessManager
from domain.approvals.commands import DecideInAdvance
from domain.approvals.events import ApprovalGranted, ApprovalRequested
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval, ApprovalStatus
from domain.directory.state import PersonSource
from domain.execution.commands import Command
from domain.execution.events import Recorded
from domain.identifiers import standing_grant_id
from domain.standing_grants.commands import (
    CreateStandingGrant,
    RevokeStandingGrant,
    UseStandingGrant,
)
from domain.standing_grants.events import (
    StandingGrantCreated,
    StandingGrantUsed,
    StandingGrantUseReturned,
)
from domain.standing_grants.state import StandingGrant
from tests.application.server_process import ServerProcess, accepted, grant
from tests.domain.people import ADAM, ANN, BOB
from tests.support.audit import findings
from tests.support.patience import HANGS

TWO = Policy(requirements=(Requirement(groups=("finance",), count=2),))
AMENDABLE = replace(TWO, amendable=True)


async def allow(process: ServerProcess, by: Any = ANN, called: str = "trips", **rest: Any) -> UUID:
    """Allow cheap trips in advance."""
    fields = {
        "workflow": "travel",
        "payload_schema": {"properties": {"cost": {"maximum": 5}}},
        "max_uses": 10,
        "expires_at": datetime.now(UTC) + timedelta(days=1),
        "comment": "Cheap trips are fine",
        **rest,
    }
    id_ = standing_grant_id(by.id, called)
    await process.do(CreateStandingGrant(by=by, execution_id=id_, idempotency_key=called, **fields))
    return id_


async def ask(process: ServerProcess, **rest: Any) -> Approval:
    """Ask for a trip in an execution of its own."""
    return await process.ask((await process.start()).id, **rest)


async def until_handled(process: ServerProcess) -> None:
    """Wait until the process manager has handled all events, also those that it caused."""
    statement = "SELECT position FROM projection_positions WHERE name = 'standing_grant_uses'"
    async with asyncio.timeout(HANGS):
        while True:
            async with process.pool.connection() as connection:
                row = await (await connection.execute(statement)).fetchone()
            if row is not None and row[0] >= await process.reader.positions.last():
                return
            await asyncio.sleep(0.02)


async def approval(process: ServerProcess, asked: Approval) -> Approval:
    execution = await process.reader.execution(asked.id.execution_id)
    assert execution is not None
    return execution.approvals[asked.ordinal]


async def standing_grant(process: ServerProcess, id_: UUID) -> StandingGrant:
    found = await process.reader.standing_grant(id_)
    assert found is not None
    return found


async def test_what_was_allowed_is_granted_and_all_else_waits(process: ServerProcess) -> None:
    before = await ask(process)
    id_ = await allow(process)
    cheap, dear = await ask(process), await ask(process, payload={"cost": 6})
    [granted] = await process.until(cheap.id.execution_id, ApprovalGranted)
    await until_handled(process)

    assert granted.actor.id == "placet"
    [decision] = (await approval(process, cheap)).decisions
    assert (decision.by.id, decision.standing_grant_id) == ("ann", id_)
    assert (await approval(process, before)).pending
    assert (await approval(process, dear)).pending
    assert (await standing_grant(process, id_)).used == 1
    used = await process.until(id_, StandingGrantUsed)
    requested = await process.until(cheap.id.execution_id, ApprovalRequested)
    assert used[0].causation_id == requested[0].command_id
    assert granted.causation_id == used[0].command_id


async def test_as_many_as_are_left_are_granted_however_many_ask_at_once(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        id_ = await allow(one, max_uses=4)
        asked = await asyncio.gather(*(ask(each) for each in (one, two) for _ in range(8)))
        await until_handled(one)

        decided = [(await approval(one, each)).pending for each in asked]
        assert (decided.count(False), decided.count(True)) == (4, 12)
        assert (await standing_grant(two, id_)).used == 4
    assert findings(log_url) == []


async def test_where_one_is_used_up_the_grant_of_somebody_else_is_used(
    process: ServerProcess,
) -> None:
    first, second = await allow(process, max_uses=1), await allow(process, BOB)
    ids = [(await process.start()).id for _ in range(3)]
    asked = await asyncio.gather(*(process.ask(id_) for id_ in ids))
    await until_handled(process)

    by = sorted([(await approval(process, each)).decisions[0].by.id for each in asked])
    assert by == ["ann", "bob", "bob"]
    assert (await standing_grant(process, first)).used == 1
    assert (await standing_grant(process, second)).used == 2


async def test_what_is_revoked_is_not_used(process: ServerProcess) -> None:
    id_ = await allow(process)
    await process.do(RevokeStandingGrant(by=ANN, execution_id=id_, reason="enough"))
    asked = await ask(process)
    await until_handled(process)

    assert (await approval(process, asked)).pending


class Killed:
    """A writer that is killed with a command of this type, before or after it is carried out."""

    def __init__(self, process: ServerProcess, kind: type[Command], *, after: bool) -> None:
        self.process, self.kind, self.after = process, kind, after
        self.reached = asyncio.Event()

    async def handle(self, requests: Sequence[Request]) -> list[Outcome]:
        met = any(isinstance(each.command, self.kind) for each in requests)
        if met and not self.after:
            self.reached.set()
            await asyncio.Event().wait()
        outcomes = await self.process.writer.handle(requests)
        if met:
            self.reached.set()
            await asyncio.Event().wait()
        return outcomes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", [UseStandingGrant, DecideInAdvance])
async def test_a_kill_at_each_step_loses_nothing_and_repeats_nothing(
    log_url: str, monkeypatch: pytest.MonkeyPatch, kind: type[Command], *, after: bool
) -> None:
    async with ServerProcess.open(log_url) as process:
        id_ = await allow(process, max_uses=1)
        killed = Killed(process, kind, after=after)
        monkeypatch.setattr(process.standing_grants, "_writer", killed)
        asked = await ask(process, policy=TWO)
        async with asyncio.timeout(HANGS):
            await killed.reached.wait()
        await process.standing_grants.close()
    async with ServerProcess.open(log_url) as another:
        await another.until(asked.id.execution_id, ApprovalGranted)
        await until_handled(another)

        assert len((await approval(another, asked)).decisions) == 1
        assert (await standing_grant(another, id_)).used == 1
    assert findings(log_url) == []


async def test_a_use_that_is_refused_after_a_kill_is_given_back(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ServerProcess.open(log_url) as process:
        id_ = await allow(process, max_uses=1)
        killed = Killed(process, DecideInAdvance, after=False)
        monkeypatch.setattr(process.standing_grants, "_writer", killed)
        asked = await ask(process)
        async with asyncio.timeout(HANGS):
            await killed.reached.wait()
        await process.standing_grants.close()
        await process.do(grant(asked, BOB))
    async with ServerProcess.open(log_url) as another:
        await another.until(id_, StandingGrantUseReturned)
        assert (await standing_grant(another, id_)).used == 0
        next_one = await ask(another)
        await another.until(next_one.id.execution_id, ApprovalGranted)
        assert (await standing_grant(another, id_)).used == 1
        await until_handled(another)
    assert findings(log_url) == []


async def test_a_new_leader_knows_the_grants_that_are_open(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        await allow(process, BOB, max_uses=1)
        hotel = await ask(process, key="hotel")
        await process.until(hotel.id.execution_id, ApprovalGranted)
        open_, revoked = await allow(process), await allow(process, called="other")
        await process.do(RevokeStandingGrant(by=ANN, execution_id=revoked, reason="enough"))
        await until_handled(process)
    with psycopg.connect(log_url) as connection:
        rows = connection.execute("SELECT grant_id FROM open_standing_grants").fetchall()
    assert rows == [(open_,)]
    async with ServerProcess.open(log_url) as another:
        asked = await ask(another)
        await another.until(asked.id.execution_id, ApprovalGranted)
        await until_handled(another)
    assert findings(log_url) == []


@pytest.mark.unsound
async def test_a_grant_that_can_not_be_read_stops_no_other(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        broken = await allow(process)
        await allow(process, BOB)
        process.damage(broken)
    async with ServerProcess.open(log_url) as another:
        asked = await ask(another)
        [granted] = await another.until(asked.id.execution_id, ApprovalGranted)
        assert granted.event.decided_by == "bob"  # type: ignore[attr-defined]


async def test_without_a_grant_for_the_workflow_nothing_is_read(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await allow(process, workflow="shopping")
    await until_handled(process)

    async def reads(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(process.reader, "versions", reads)
    monkeypatch.setattr(process.reader, "aggregates", reads)
    manager: StandingGrantProcessManager = process.standing_grants
    asked = await ask(process)
    await until_handled(process)
    assert (await approval(process, asked)).pending
    assert manager.skipped.labels("ApprovalRequested")._value.get() == 0


async def test_the_streams_of_grants_are_no_executions(process: ServerProcess) -> None:
    id_ = await allow(process)
    created: list[Recorded] = await process.until(id_, StandingGrantCreated)

    assert await process.reader.execution(id_) is None
    assert await process.reader.standing_grant(uuid4()) is None
    assert created[0].correlation_id == id_


async def test_what_was_amended_is_matched_anew(process: ServerProcess) -> None:
    id_ = await allow(process)
    dear = await ask(process, policy=AMENDABLE, payload={"cost": 6})
    await until_handled(process)
    assert (await approval(process, dear)).decisions == ()

    await process.do(grant(dear, BOB, amended_payload={"cost": 5}))
    await process.until(dear.id.execution_id, ApprovalGranted, 2)
    await until_handled(process)
    granted = await approval(process, dear)
    assert granted.status is ApprovalStatus.GRANTED
    by_bob, in_advance = granted.decisions
    assert (by_bob.by.id, by_bob.standing_grant_id) == ("bob", None)
    assert (in_advance.by.id, in_advance.standing_grant_id) == ("ann", id_)
    assert in_advance.digest == granted.digest, "it is for what was amended"
    assert (await standing_grant(process, id_)).used == 1


async def test_a_use_for_what_was_asked_stays_used_after_an_amendment(
    process: ServerProcess,
) -> None:
    id_ = await allow(process)
    cheap = await ask(process, policy=AMENDABLE, payload={"cost": 4})
    await process.until(cheap.id.execution_id, ApprovalGranted)
    now = await approval(process, cheap)
    await process.do(grant(now, BOB, amended_payload={"cost": 3}))
    await process.until(cheap.id.execution_id, ApprovalGranted, 3)
    await until_handled(process)

    granted = await approval(process, cheap)
    assert granted.status is ApprovalStatus.GRANTED
    assert [(each.by.id, each.counts) for each in granted.decisions] == [
        ("ann", False),
        ("bob", True),
        ("ann", True),
    ]
    assert (await standing_grant(process, id_)).used == 2


async def test_what_was_amended_to_something_dearer_waits_for_people(
    process: ServerProcess,
) -> None:
    id_ = await allow(process)
    cheap = await ask(process, policy=AMENDABLE, payload={"cost": 4})
    await process.until(cheap.id.execution_id, ApprovalGranted)
    now = await approval(process, cheap)
    await process.do(grant(now, BOB, amended_payload={"cost": 6}))
    await until_handled(process)

    waiting = await approval(process, cheap)
    assert waiting.pending
    assert [(each.by.id, each.counts) for each in waiting.decisions] == [
        ("ann", False),
        ("bob", True),
    ]
    assert (await standing_grant(process, id_)).used == 1


async def test_a_deactivated_person_decides_nothing_in_advance(process: ServerProcess) -> None:
    await allow(process)
    directory = Directory(process.pool, process.writer)
    accepted(await directory.record(ADAM, KnownPerson(id="ann", source=PersonSource.ADMIN)))
    accepted(await directory.deactivate(ADAM, "ann"))
    asked = await ask(process)
    await until_handled(process)
    assert (await approval(process, asked)).pending
    accepted(await directory.reactivate(ADAM, "ann"))

    # Another spelling may be the same person.
    accepted(await directory.record(ADAM, KnownPerson(id="ANN", source=PersonSource.ADMIN)))
    accepted(await directory.deactivate(ADAM, "ANN"))
    asked = await ask(process)
    await until_handled(process)
    assert (await approval(process, asked)).pending
    accepted(await directory.reactivate(ADAM, "ANN"))

    asked = await ask(process)
    await until_handled(process)
    assert not (await approval(process, asked)).pending
