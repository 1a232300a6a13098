"""Deadlines act once, in time, whoever races with them, and survive a restart."""

import asyncio
from datetime import timedelta
from uuid import UUID

import psycopg
from msgspec.structs import replace

from application.command_handling.outcomes import Accepted, Refused
from domain.approvals.events import (
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalReminded,
)
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.events import (
    Resumed,
)
from domain.refusals import RefusalCode
from tests.application.server_process import FINANCE, ServerProcess, grant
from tests.support.audit import findings

SOON = timedelta(milliseconds=60)
LATER = timedelta(days=90)


def rows(process: ServerProcess) -> int:
    with psycopg.connect(process.url) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM execution_timers").fetchall()
    return int(count)


async def approval_of(process: ServerProcess, execution_id: UUID) -> Approval:
    state = await process.reader.execution(execution_id)
    assert state is not None
    return state.approvals[1]


async def test_an_approval_expires_at_its_deadline_and_never_early(process: ServerProcess) -> None:
    executions = [await process.start() for _ in range(20)]
    for number, execution in enumerate(executions):
        within = SOON + number * timedelta(milliseconds=7)
        await process.ask(execution.id, policy=replace(FINANCE, within=within))

    for execution in executions:
        [expired] = await process.until(execution.id, ApprovalExpired)
        approval = await approval_of(process, execution.id)
        assert approval.deadline is not None
        assert expired.at >= approval.deadline
        assert expired.actor.id == "placet"
        assert approval.status is ApprovalStatus.EXPIRED
        await process.until(execution.id, Resumed)
    assert rows(process) == 0


async def test_reminder_escalation_and_expiry_follow_each_other(process: ServerProcess) -> None:
    policy = replace(
        FINANCE,
        within=timedelta(milliseconds=200),
        remind_before=(timedelta(milliseconds=100),),
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("chiefs",),
    )
    execution = await process.start()
    await process.ask(execution.id, policy=policy)

    first, second = await process.until(execution.id, ApprovalReminded, 2)
    [escalated] = await process.until(execution.id, ApprovalEscalated)
    [expired] = await process.until(execution.id, ApprovalExpired)

    assert first.version < escalated.version < second.version < expired.version
    assert rows(process) == 0


async def test_a_decision_ends_the_deadline(process: ServerProcess) -> None:
    execution = await process.start()
    approval = await process.ask(execution.id, policy=replace(FINANCE, within=LATER))
    assert rows(process) == 1

    await process.do(grant(approval))

    assert rows(process) == 0


async def test_a_deadline_outlives_the_process(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        await process.timers.close()
        await process.ask(execution.id, policy=replace(FINANCE, within=SOON))
    async with ServerProcess.open(log_url) as another:
        await another.until(execution.id, ApprovalExpired)


async def test_a_grant_that_races_with_the_expiry_gives_one_resolution(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        executions = [await one.start() for _ in range(30)]
        within = timedelta(milliseconds=150)
        asked = await asyncio.gather(
            *(one.ask(e.id, policy=replace(FINANCE, within=within)) for e in executions)
        )

        async def decide(approval: Approval, number: int) -> bool:
            await asyncio.sleep(0.1 + 0.004 * number)
            [outcome] = await two.send(grant(approval))
            if isinstance(outcome, Refused):
                assert outcome.code is RefusalCode.ALREADY_DECIDED
                return False
            assert isinstance(outcome, Accepted)
            return True

        granted = await asyncio.gather(*(decide(a, n) for n, a in enumerate(asked)))
        for approval, won in zip(asked, granted, strict=True):
            kind = ApprovalGranted if won else ApprovalExpired
            await one.until(approval.id.execution_id, kind)
            await one.until(approval.id.execution_id, Resumed)
            history = await one.reader.history(approval.id.execution_id)
            ends = [
                e
                for e in history
                if isinstance(e.recorded.event, ApprovalGranted | ApprovalExpired)
            ]
            assert len(ends) == 1
    assert rows(one) == 0
    assert findings(log_url) == []
