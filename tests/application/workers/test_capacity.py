"""How many executions the stream of a worker gets, and which do not count."""

import asyncio

import pytest

from application.workers.known_workflows import Candidate
from application.workers.worker_stream import (
    Ended,
)
from domain.execution.commands import (
    CancelExecution,
    ClaimExecution,
    SendSignal,
    SuspendExecution,
)
from domain.values import Principal
from tests.application.server_process import ServerProcess, complete
from tests.application.workers.test_dispatcher import worker
from tests.domain.people import ENGINE, OLIVIA


async def test_waiting_executions_do_not_count_towards_the_capacity(process: ServerProcess) -> None:
    async with worker(process, capacity=1) as one:
        first, second = await process.start(), await process.start()
        granted = await one.claimed()
        waits = first if granted.execution.id == first.id else second
        await process.ask(waits.id, fence=1)
        assert (await one.claimed()).execution.id == (second if waits is first else first).id


async def test_an_end_frees_capacity(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not found by chance: a regular sweep does not come in time.
    monkeypatch.setattr("application.workers.claim_scheduler.SWEEP_EVERY", 600)
    async with worker(process, capacity=1) as one:
        for _ in range(3):
            await process.start()
        for _ in range(3):
            granted = await one.claimed()
            await process.do(complete(granted.execution.id, fence=granted.fence))


async def test_work_is_spread_over_the_streams(process: ServerProcess) -> None:
    async with worker(process, "one") as one, worker(process, "two") as two:
        firsts = [asyncio.create_task(w.claimed()) for w in (one, two)]
        await asyncio.sleep(0)
        started = {(await process.start()).id for _ in range(2)}
        assert {grant.execution.id for grant in await asyncio.gather(*firsts)} == started


async def test_an_execution_that_ends_with_its_claim_takes_no_capacity(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_these = process.leases.claim_these

    async def claimed_and_cancelled(
        by: Principal, worker: str, candidates: list[Candidate], **_known: object
    ) -> object:
        monkeypatch.setattr(process.leases, "claim_these", claim_these)
        ids = [each.execution_id for each in candidates]
        commands = [ClaimExecution(by=by, execution_id=id_, worker=worker) for id_ in ids]
        ends = [CancelExecution(by=OLIVIA, execution_id=id_, reason="no") for id_ in ids]
        return (await process.send(*commands, *ends))[: len(ids)]

    monkeypatch.setattr(process.leases, "claim_these", claimed_and_cancelled)
    execution = await process.start()
    async with worker(process, capacity=1) as one:
        assert (await one.claimed()).execution.id == execution.id
        assert await one.next() == Ended(execution.id)
        another = await process.start()
        assert (await one.claimed()).execution.id == another.id


async def test_sleeping_executions_do_not_count_towards_the_capacity(
    process: ServerProcess,
) -> None:
    sleeper = await process.start()
    async with worker(process, capacity=1) as one:
        await one.claimed()
        await process.do(SuspendExecution(by=ENGINE, execution_id=sleeper.id, fence=1, seen=0))
        second = await process.start()
        assert (await one.claimed()).execution.id == second.id


async def test_a_sleeping_execution_is_claimed_when_something_happens(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    async with worker(process) as one:
        await one.claimed()
        await process.do(SuspendExecution(by=ENGINE, execution_id=execution.id, fence=1, seen=0))
    await process.leases.release(ENGINE, "one", None)
    async with worker(process, "two") as two:
        other = await process.start()
        assert (await two.claimed()).execution.id == other.id
        await process.do(SendSignal(by=OLIVIA, execution_id=execution.id, key="a", name="go"))
        assert (await two.claimed()).execution.id == execution.id
