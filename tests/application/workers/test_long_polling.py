"""Executions are assigned to workers that poll."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from application.workers.long_polling import PollResult
from domain.execution.commands import CancelExecution, ParkExecution
from tests.application.server_process import ServerProcess, complete, grant
from tests.application.workers.test_leases import run_out
from tests.domain.people import ENGINE, OLIVIA
from tests.support.patience import HANGS

LEASE = timedelta(minutes=10)
LONG = timedelta(minutes=10)


async def poll(
    process: ServerProcess,
    worker: str = "one",
    *,
    limit: int = 10,
    wait: timedelta = timedelta(0),
    holding: Mapping[UUID, int | None] | None = None,
) -> PollResult:
    async with asyncio.timeout(HANGS):
        return await process.long_polling.claim(
            ENGINE, worker, ["default"], limit, LEASE, wait=wait, holding=holding
        )


def ids(answer: PollResult) -> list[UUID]:
    return [grant.execution.id for grant in answer.grants]


async def test_a_poll_without_a_wait_answers_at_once(process: ServerProcess) -> None:
    assert await poll(process) == ([], [], [])


async def test_an_execution_started_during_the_poll_is_claimed(process: ServerProcess) -> None:
    waiting = asyncio.create_task(poll(process, wait=LONG))
    await asyncio.sleep(0)
    execution = await process.start()
    assert ids(await waiting) == [execution.id]


async def test_a_released_execution_is_claimed_when_its_approval_is_resolved(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    [granted] = (await poll(process)).grants
    approval = await process.ask(execution.id, fence=1)
    await process.leases.release_at(ENGINE, "one", {execution.id: 0})
    waiting = asyncio.create_task(poll(process, wait=LONG, holding={}))
    await asyncio.sleep(0)
    await process.do(grant(approval))
    [again] = (await waiting).grants
    assert (again.execution.id, again.fence) == (execution.id, granted.fence + 1)


async def test_an_execution_released_in_another_process_is_found_soon(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    await poll(process, "other")
    waiting = asyncio.create_task(poll(process, wait=LONG))
    await process.leases.release_at(ENGINE, "other", {execution.id: None})
    assert ids(await waiting) == [execution.id]


async def test_executions_of_a_lost_answer_are_sent_again(process: ServerProcess) -> None:
    first, second = await process.start(), await process.start()
    await poll(process)
    answer = await poll(process, wait=LONG, holding={first.id: None})
    assert ids(answer) == [second.id]
    assert [granted.fence for granted in answer.grants] == [1]


async def test_an_execution_that_is_no_longer_held_is_reported_as_lost(
    process: ServerProcess,
) -> None:
    taken, ended, kept = [await process.start() for _ in range(3)]
    held = ids(await poll(process))
    run_out(process, "one")
    assert ids(await poll(process, "two", limit=1)) == [held[0]]
    await process.do(CancelExecution(by=OLIVIA, execution_id=held[1], reason="no"))
    answer = await poll(process, wait=LONG, holding=dict.fromkeys(held))
    assert set(answer.lost) == set(held[:2])
    assert {taken.id, ended.id, kept.id} == set(held)
    assert (await poll(process, holding={uuid4(): None})).lost != []


async def test_a_poll_keeps_the_lease(process: ServerProcess) -> None:
    await process.start()
    await poll(process)
    run_out(process, "one")
    await poll(process, holding=None)
    with psycopg.connect(process.url) as connection:
        [(alive,)] = connection.execute(
            "SELECT expires_at > clock_timestamp() FROM worker_leases WHERE worker = 'one'"
        ).fetchall()
    assert alive


@pytest.mark.parametrize("ends", [True, False])
async def test_a_server_that_is_ending_answers_at_once(
    process: ServerProcess, *, ends: bool
) -> None:
    waiting = asyncio.create_task(poll(process, wait=LONG))
    await asyncio.sleep(0)
    if ends:
        process.tail.drain()
        assert await waiting == ([], [], [])
    else:
        execution = await process.start()
        assert ids(await waiting) == [execution.id]


async def test_an_ended_execution_is_not_sent(process: ServerProcess) -> None:
    execution = await process.start()
    await poll(process)
    await process.do(complete(execution.id, fence=1))
    assert await poll(process, holding={}) == ([], [], [])


async def test_a_held_execution_is_sent_again_if_it_was_woken_since(process: ServerProcess) -> None:
    execution, quiet = await process.start(), await process.start()
    await poll(process)
    approval = await process.ask(execution.id, fence=1)
    known: dict[UUID, int | None] = {execution.id: 0, quiet.id: 0}
    waiting = asyncio.create_task(poll(process, wait=LONG, holding=known))
    await asyncio.sleep(0)
    await process.do(grant(approval))
    [told] = (await waiting).grants
    assert (told.execution.id, told.fence) == (execution.id, 1)
    known[execution.id] = told.execution.woken_version
    assert await poll(process, holding=known) == ([], [], [])
    assert await poll(process, holding={execution.id: None, quiet.id: None}) == ([], [], [])


async def test_a_worker_without_capacity_gets_woken_executions(
    process: ServerProcess,
) -> None:
    execution, ended = await process.start(), await process.start()
    await poll(process)
    free, approval = await process.start(), await process.ask(execution.id, fence=1)
    known: dict[UUID, int | None] = {execution.id: 0, ended.id: 0}
    waiting = asyncio.create_task(poll(process, limit=0, wait=LONG, holding=known))
    await asyncio.sleep(0)
    await process.do(grant(approval))
    assert ids(await waiting) == [execution.id]
    del known[execution.id]
    # An execution that it does not name is not sent either, because it has no capacity.
    waiting = asyncio.create_task(poll(process, limit=0, wait=LONG, holding=known))
    await asyncio.sleep(0)
    await process.do(CancelExecution(by=OLIVIA, execution_id=ended.id, reason="no"))
    assert await waiting == ([], [ended.id], [])
    assert ids(await poll(process, limit=2, holding={})) == [execution.id, free.id]


async def test_woken_executions_do_not_count_towards_the_limit(process: ServerProcess) -> None:
    execution = await process.start()
    await poll(process)
    free, approval = await process.start(), await process.ask(execution.id, fence=1)
    await process.do(grant(approval))
    assert ids(await poll(process, limit=1, holding={execution.id: 0})) == [execution.id, free.id]


async def test_a_poll_says_which_of_the_lost_executions_are_parked(process: ServerProcess) -> None:
    executions = [await process.start(), await process.start()]
    held = ids(await poll(process))
    assert set(held) == {each.id for each in executions}
    await process.do(CancelExecution(by=OLIVIA, execution_id=held[0], reason="no"))
    await process.do(ParkExecution(by=OLIVIA, execution_id=held[1], reason="wait"))
    answer = await poll(process, holding=dict.fromkeys(held))
    assert (set(answer.lost), answer.parked) == (set(held), [held[1]])
