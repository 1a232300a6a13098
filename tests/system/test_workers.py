"""Faults of workers lose nothing, and nothing is done twice."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bench.stack import Stack
from placet import Engine, ExecutionState, Run, errors, require
from tests.sdk.people import People
from tests.support.patience import HANGS
from tests.system.audit import assert_sound
from tests.system.conftest import Opened
from tests.system.load import caught_up

FINANCE = require(1, group="finance")
LEASE = 1.0
WAITING = 30


@contextmanager
def worker(server: Stack) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker process, which is killed after the block if it still runs."""
    command = [sys.executable, "-m", "tests.system.worker", server.url, str(LEASE)]
    env = {**os.environ, "PLACET_TOKEN": server.tokens["engine"]}
    with subprocess.Popen(command, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


async def test_what_a_killed_worker_held_is_taken_over_and_done_once(
    open_server: Opened, database: str, stack: AsyncExitStack, tmp_path: Path
) -> None:
    server, log = open_server(), tmp_path / "done.log"
    people = People(server, stack)
    approver = await people.get("approver-a")
    with worker(server) as first:
        ids = [await people.start("noted", str(log)) for _ in range(WAITING)]
        approvals = [(await people.pending(id_))[0] for id_ in ids]
        first.kill()
        first.wait()
        # Half of them is decided while nobody holds a living lease.
        for approval in approvals[::2]:
            await approver.grant(approval)
        with worker(server):
            for approval in approvals[1::2]:
                await approver.grant(approval)
            ended = [await people.ended(id_) for id_ in ids]
    assert {each.state for each in ended} == {ExecutionState.COMPLETED}
    assert {each.fence for each in ended} == {2}
    assert len(set(Counter(lines(log)).values())) == 1
    assert len(lines(log)) == 2 * WAITING
    await caught_up(server, database)
    assert_sound(database)


async def test_workers_survive_a_server_that_is_unavailable_longer_than_the_lease(
    open_server: Opened, port: int, stack: AsyncExitStack
) -> None:
    server = open_server(port)
    people = People(server, stack)
    done: list[str] = []
    reached, go_on = asyncio.Event(), asyncio.Event()
    engine = Engine(server.url, token=server.tokens["engine"], lease=timedelta(seconds=LEASE))

    async def long() -> str:
        reached.set()
        await go_on.wait()
        done.append("long")
        return "long"

    @engine.workflow
    async def outlives(run: Run) -> list[str]:
        said = await run.step(long)
        await run.approval("Go on", payload=said, policy=FINANCE)
        return done

    @engine.workflow
    async def waits(run: Run) -> str:
        await run.approval("Go on", payload=1, policy=FINANCE)
        return "granted"

    async with engine:
        busy, waiting = await people.start("outlives"), await people.start("waits")
        [approval] = await people.pending(waiting)
        await reached.wait()
        server.kill9()
        # The step ends while there is nobody to tell, and the lease runs out.
        go_on.set()
        await asyncio.sleep(2 * LEASE)
        server = open_server(port)
        approver = await people.get("approver-a")
        await approver.grant(approval)
        assert (await people.ended(waiting)).result == "granted"
        [approval] = await people.pending(busy)
        await approver.grant(approval)
        assert (await people.ended(busy)).result == ["long"]
    assert done == ["long"]


async def test_a_worker_that_is_told_to_end_lets_its_steps_end_first(
    open_server: Opened, stack: AsyncExitStack
) -> None:
    server = open_server()
    people = People(server, stack)
    done: list[str] = []
    reached = asyncio.Event()

    async def slow() -> str:
        reached.set()
        await asyncio.sleep(0.3)
        done.append("slow")
        return "slow"

    async def drained(run: Run) -> list[str]:
        return [await run.step(slow), await run.step(lambda: "next", name="next")]

    one = Engine(server.url, token=server.tokens["engine"])
    other = Engine(server.url, token=server.tokens["engine"])
    one.workflow(drained)
    other.workflow(drained)
    async with one:
        execution_id = await people.start("drained")
        await reached.wait()
    async with other:
        ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == (["slow", "next"], 2)
    assert done == ["slow"]


async def test_a_step_that_hangs_is_left_and_run_again_by_another(
    open_server: Opened, stack: AsyncExitStack
) -> None:
    server = open_server()
    people = People(server, stack)
    begun: list[str] = []
    reached = asyncio.Event()

    async def hangs() -> str:
        begun.append("begun")
        if len(begun) == 1:
            reached.set()
            await asyncio.Event().wait()
        return "done"

    async def patient(run: Run) -> str:
        return await run.step(hangs)

    drain = timedelta(seconds=0.1)
    one = Engine(server.url, token=server.tokens["engine"], drain=drain)
    other = Engine(server.url, token=server.tokens["engine"])
    one.workflow(patient)
    other.workflow(patient)
    async with one:
        execution_id = await people.start("patient")
        await reached.wait()
    async with other:
        assert (await people.ended(execution_id)).result == "done"
    assert begun == ["begun"] * 2


async def test_a_result_of_megabytes_is_refused_as_too_large(
    open_server: Opened, stack: AsyncExitStack
) -> None:
    server = open_server()
    people = People(server, stack)
    engine = Engine(server.url, token=server.tokens["engine"])
    tried: list[int] = []

    def many() -> str:
        tried.append(1)
        return "x" * 3_000_000

    @engine.workflow
    async def step(run: Run) -> None:
        await run.step(many, retries=3)

    @engine.workflow
    async def payload(run: Run) -> None:
        await run.approval("Read this", payload=many(), policy=FINANCE)

    @engine.workflow
    async def result(run: Run) -> str:
        await run.step(lambda: 1, name="first")
        return many()

    async with engine:
        ids = [await people.start(name) for name in ("step", "payload", "result")]
        ended = [await people.ended(id_) for id_ in ids]
    assert {each.state for each in ended} == {ExecutionState.FAILED}
    limit = "the body has more than 1048576 bytes"
    assert [each.error for each in ended] == [
        f"LimitExceeded: the result of step 'many-1': {limit}",
        f"LimitExceeded: approval 'approval-1': {limit}",
        f"the workflow's result can't be recorded: {limit}",
    ]
    # What is too much is too much the next time as well; each was made once.
    assert len(tried) == len(ids)


async def test_an_expired_token_ends_the_worker_and_another_takes_over(
    open_server: Opened, stack: AsyncExitStack
) -> None:
    server = open_server()
    people = People(server, stack)
    token = server.create_token("short-lived", "ENGINE")

    async def waits(run: Run) -> str:
        await run.approval("Go on", payload=1, policy=FINANCE)
        return "granted"

    one = Engine(server.url, token=token, lease=timedelta(seconds=LEASE))
    other = Engine(server.url, token=server.tokens["engine"])
    one.workflow(waits)
    other.workflow(waits)
    serving = asyncio.create_task(one.serve())
    execution_id = await people.start("waits")
    [approval] = await people.pending(execution_id)
    server.revoke_token("short-lived")
    with pytest.raises(errors.Unauthenticated):
        async with asyncio.timeout(HANGS):
            await serving
    async with other:
        await (await people.get("approver-a")).grant(approval)
        ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == ("granted", 2)
