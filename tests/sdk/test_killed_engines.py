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
from tests.sdk.engines import Made, started
from tests.sdk.people import SECONDS, People, Server


class Killed:
    """An engine in a process of its own, in the middle of a step."""

    def __init__(self, process: Process, other: Engine, execution_id: str) -> None:
        self.process = process
        self.other = other
        self.execution_id = execution_id

    async def said(self, line: bytes) -> None:
        """Wait until it has said this."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            assert await self.process.stdout.readline() == line + b"\n"


@pytest.fixture
async def killed(people: People, server: Server) -> AsyncIterator[Killed]:
    queue, goes_on = f"queue-{uuid4()}", asyncio.Event()
    goes_on.set()
    token = server.tokens["engine"]
    other = killed_engine.engine(server.url, token, queue, goes_on)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sdk.killed_engine", server.url, token, queue), stdout=PIPE
    )
    try:
        begun = Killed(process, other, await started(people, other, "works"))
        await begun.said(b"begun")
        yield begun
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("when", ["at work", "draining"])
async def test_one_that_is_killed_is_missed_soon(people: People, killed: Killed, when: str) -> None:
    if when == "draining":
        killed.process.terminate()
        await killed.said(b"beaten")
    async with killed.other as other:
        killed.process.kill()
        ended = await people.ended(killed.execution_id)
    assert (ended.result, ended.fence) == (other.worker, 2)


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
