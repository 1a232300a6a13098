"""Engines that are killed or end, and what they had begun."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from placet import Engine, Run, require
from tests.sdk import killed_engine
from tests.sdk.engines import Made, failed_once, skipping, started
from tests.sdk.people import People, Server
from tests.support.patience import HANGS


class Killed:
    """An engine in a process of its own, and another that may go on with what it held."""

    def __init__(self, process: Process, other: Engine) -> None:
        self.process = process
        self.other = other

    async def said(self, line: bytes) -> None:
        """Wait until it has said this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(HANGS):
            assert await self.process.stdout.readline() == line + b"\n"


@pytest.fixture
async def killed(server: Server) -> AsyncIterator[Killed]:
    queue, goes_on = f"queue-{uuid4()}", asyncio.Event()
    goes_on.set()
    token = server.tokens["engine"]
    other = killed_engine.engine(server.url, token, queue, goes_on)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sdk.killed_engine", server.url, token, queue), stdout=PIPE
    )
    try:
        yield Killed(process, other)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("when", ["at work", "draining"])
async def test_one_that_is_killed_is_missed_soon(people: People, killed: Killed, when: str) -> None:
    execution_id = await started(people, killed.other, "works")
    await killed.said(b"begun")
    if when == "draining":
        killed.process.terminate()
        await killed.said(b"beaten")
    async with killed.other as other:
        killed.process.kill()
        ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == (other.worker, 2)


async def test_what_one_did_by_a_clearance_when_it_was_killed_is_left_to_a_person(
    people: People, killed: Killed
) -> None:
    approver, operator = await people.get("approver-a"), await people.get("operator")
    execution_id = await started(people, killed.other, "pays")
    [asked] = await people.pending(execution_id)
    await approver.grant(asked)
    await killed.said(b"begun")
    killed.process.kill()
    async with killed.other:
        [doubted] = await people.pending(execution_id)
        assert doubted.title == "Was it paid?"
        history = await operator.history(execution_id)
        assert history is not None
        [step] = history.steps
        assert (step.completed_at, step.attempts) == (None, 1)
        assert step.error == (
            f"Doubt: step 'work-1' had redeemed approval {asked.id} and left no result:"
            " it may have been done, so it is not begun again"
        )
        assert history.approvals[0].redeemed_at is not None
        await approver.grant(doubted)
        ended = await people.ended(execution_id)
    # Had it been begun again, it would have given a result.
    assert (ended.result, ended.fence) == ("paid, says approver-a", 2)


async def test_the_next_round_is_asked_for_though_the_engine_was_killed_before_it(
    people: People, killed: Killed
) -> None:
    approver = await people.get("approver-a")
    execution_id = await started(people, killed.other, "revises")
    [first] = await people.pending(execution_id)
    await approver.request_changes(first, comment="cheaper")
    await killed.said(b"begun")
    killed.process.kill()
    async with killed.other:
        [second] = await people.pending(execution_id)
        await approver.grant(second)
        ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == ("round 2 for 110", 2)


async def test_the_pause_before_the_next_attempt_survives_the_engine(
    people: People, killed: Killed
) -> None:
    execution_id = await started(people, killed.other, "fails")
    await killed.said(b"begun")
    await failed_once(people, execution_id)
    killed.process.kill()
    pauses = skipping(killed.other)
    async with killed.other as other:
        ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == (other.worker, 2)
    [pause] = pauses
    assert 0 < pause <= 60


async def test_what_waits_goes_on_elsewhere_while_an_engine_drains(
    people: People, engine: Made
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()
    one, other = engine(drain=timedelta(minutes=1)), engine()

    async def work() -> str:
        begun.set()
        await goes_on.wait()
        return "done"

    def add(to: Engine) -> None:
        @to.workflow(name="works")
        async def works(run: Run) -> str:
            return await run.step(work)

        @to.workflow(name="asks")
        async def asks(run: Run) -> str:
            await run.approval("Trip", payload={}, policy=require(1, group="finance"))
            return to.worker

    add(one)
    add(other)
    async with one:
        working = await started(people, one, "works")
        asking = await started(people, one, "asks")
        [approval] = await people.pending(asking)
        await begun.wait()
        async with other:
            closing = asyncio.create_task(one.close())
            await (await people.get("approver-b")).grant(approval)
            assert (await people.ended(asking)).result == other.worker
            assert not closing.done()
            goes_on.set()
            await closing
            assert (await people.ended(working)).result == "done"
