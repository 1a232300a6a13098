"""Commands become commits: all or nothing, in order, once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from application.command_handling.outcomes import Accepted, Outcome
from domain.execution.commands import CancelExecution, FailExecution, RetryExecution, StartExecution
from domain.refusals import RefusalCode
from tests.application.server_process import (
    ServerProcess,
    accepted,
    claim,
    complete,
    grant,
    locked,
    refused,
    request_of,
    step,
    until,
)
from tests.domain.people import ANN, BOB, ENGINE, OLIVIA

pytestmark = pytest.mark.both_servers


def stored(process: ServerProcess) -> list[tuple[int, str]]:
    """Return version and topic of every event, in the order of the log."""
    with psycopg.connect(process.url) as connection:
        return connection.execute(
            "SELECT originator_version, topic FROM execution_events ORDER BY notification_id"
        ).fetchall()


async def test_an_accepted_command_names_the_position_of_its_last_event(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    approval = await process.ask(execution.id)
    outcome = await process.do(grant(approval))
    assert outcome.position == await process.reader.positions.last()
    assert [topic for _, topic in stored(process)] == [
        "execution.started.v1",
        "execution.approval-requested.v1",
        "execution.approval-granted.v2",
        "execution.resumed.v1",
    ]


async def test_a_repeat_names_the_position_and_time_of_the_first_time(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    approval = await process.ask(execution.id)
    first, again = await process.send(grant(approval), grant(approval))
    await process.do(step(execution.id, "after"))
    later = await process.do(grant(approval))
    assert accepted(again).repeated
    assert later.repeated
    assert accepted(first).position == accepted(again).position == later.position
    assert accepted(first).at == accepted(again).at == later.at < later.execution.updated_at
    assert len(stored(process)) == 5


async def test_a_repeat_shows_the_execution_as_it_stands_now(process: ServerProcess) -> None:
    execution = await process.start(key="order-1")
    await process.do(step(execution.id, "one"))
    again = await process.do(
        StartExecution(by=OLIVIA, execution_id=uuid4(), workflow="travel", key="order-1")
    )
    assert again.repeated
    assert again.execution.id == execution.id
    assert again.execution.version == 2


async def test_an_idempotency_key_is_one_person_s_own(process: ServerProcess) -> None:
    execution = await process.start(key="order-1")
    other = await process.do(
        StartExecution(by=ENGINE, execution_id=uuid4(), workflow="travel", key="order-1")
    )
    assert not other.repeated
    assert other.execution.id != execution.id


async def test_an_idempotency_key_with_another_id_is_reused(process: ServerProcess) -> None:
    await process.start(key="order-1")
    other = uuid4()
    [outcome] = await process.send(
        StartExecution(
            by=OLIVIA, execution_id=other, given_id=str(other), workflow="travel", key="order-1"
        )
    )
    refused(outcome, RefusalCode.KEY_REUSED)


async def test_two_starts_with_one_key_in_one_commit_start_once(process: ServerProcess) -> None:
    first, second = await process.send(
        *[
            StartExecution(by=OLIVIA, execution_id=uuid4(), workflow="travel", key="order-1")
            for _ in range(2)
        ]
    )
    assert not accepted(first).repeated
    assert accepted(second).repeated
    assert accepted(first).execution.id == accepted(second).execution.id


async def test_of_chained_commands_those_after_a_refusal_are_skipped(
    process: ServerProcess,
) -> None:
    execution, other = await process.start(), await process.start()
    outcomes = await process.send(
        step(execution.id, "one"),
        step(execution.id, "two", fence=7),
        step(execution.id, "three"),
        step(other.id, "three"),
        chained=True,
    )
    accepted(outcomes[0])
    refused(outcomes[1], RefusalCode.FENCED)
    refused(outcomes[2], RefusalCode.SKIPPED)
    accepted(outcomes[3])


async def test_a_refusal_records_nothing(process: ServerProcess) -> None:
    execution = await process.start()
    outcomes = await process.send(
        step(execution.id, "", fence=None), grant(await process.ask(execution.id), by=ENGINE)
    )
    refused(outcomes[0], RefusalCode.INVALID_INPUT)
    refused(outcomes[1], RefusalCode.FORBIDDEN)
    assert len(stored(process)) == 2


async def test_versions_have_no_hole_and_times_never_go_back(process: ServerProcess) -> None:
    execution = await process.start()
    await asyncio.gather(*(process.do(step(execution.id, str(n))) for n in range(200)))
    events = await process.reader.history(execution.id, limit=500)
    assert [event.recorded.version for event in events] == list(range(1, 202))
    times = [event.recorded.at for event in events]
    assert times == sorted(times)
    assert all(at.utcoffset() == timedelta(0) for at in times)


async def test_a_full_queue_refuses_at_once(log_url: str) -> None:
    async with ServerProcess.open(log_url, queue_limit=3) as process:
        execution = await process.start()
        with locked(log_url):
            waiting = asyncio.create_task(process.send(step(execution.id, "held")))
            await asyncio.sleep(0)
            await until(lambda: process.writer.depth == 0)
            more = [asyncio.create_task(process.send(step(execution.id, str(n)))) for n in range(3)]
            await asyncio.sleep(0)
            assert process.writer.depth == 3
            [outcome] = await process.send(step(execution.id, "too many"))
            refused(outcome, RefusalCode.OVERLOADED)
        for task in (waiting, *more):
            accepted((await task)[0])


async def test_two_processes_decide_one_approval_once(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        for _ in range(20):
            approval = await one.ask((await one.start()).id)
            results: Sequence[list[Outcome]] = await asyncio.gather(
                one.send(grant(approval, by=ANN)), two.send(grant(approval, by=BOB))
            )
            won = [o for [o] in results if isinstance(o, Accepted)]
            [lost] = [o for [o] in results if not isinstance(o, Accepted)]
            assert len(won) == 1
            seen = refused(lost, RefusalCode.ALREADY_DECIDED).execution
            assert seen is not None
            assert seen.approvals[1].decisions == won[0].execution.approvals[1].decisions


async def test_two_processes_share_idempotency_keys(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        for n in range(20):
            outcomes = await asyncio.gather(
                *(
                    process.do(
                        StartExecution(
                            by=OLIVIA, execution_id=uuid4(), workflow="travel", key=f"k{n}"
                        )
                    )
                    for process in (one, two)
                )
            )
            assert sorted(o.repeated for o in outcomes) == [False, True]
            assert len({o.execution.id for o in outcomes}) == 1


async def test_one_process_folds_the_events_of_another(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        execution = await one.start()
        for n in range(10):
            outcome = await (one, two)[n % 2].do(step(execution.id, str(n)))
            assert outcome.execution.version == n + 2


async def test_of_two_claims_at_once_one_wins(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        for _ in range(20):
            execution = await one.start()
            for process in (one, two):
                await process.leases.renew(ENGINE.id, "worker-1", timedelta(seconds=30))
            results = await asyncio.gather(
                *(process.send(claim(execution.id)) for process in (one, two))
            )
            assert sorted(isinstance(o, Accepted) for [o] in results) == [False, True]


async def test_a_retried_execution_can_be_ended_again(process: ServerProcess) -> None:
    execution = await process.start()
    cancelled = CancelExecution(by=OLIVIA, execution_id=execution.id, reason="no")
    await process.do(cancelled)
    assert (await process.do(cancelled)).repeated
    [outcome] = await process.send(
        RetryExecution(by=OLIVIA, execution_id=execution.id, expected_version=2)
    )
    refused(outcome, RefusalCode.INVALID_TRANSITION)


async def test_a_completed_execution_is_held_by_nobody(process: ServerProcess) -> None:
    execution = await process.start()
    await process.do(claim(execution.id))
    await process.do(complete(execution.id, fence=1))
    assert await process.leases.held(ENGINE.id, "worker-1") == []


@pytest.mark.parametrize("key", ["a\u0000b", "half \ud83d", "k" * 201])
async def test_an_invalid_start_key_fails_no_other_command(
    process: ServerProcess, key: str
) -> None:
    wrong = StartExecution(by=OLIVIA, execution_id=uuid4(), workflow="w", key=key)
    forbidden = StartExecution(by=ANN, execution_id=uuid4(), workflow=key, key=key)
    fine = StartExecution(by=OLIVIA, execution_id=uuid4(), workflow="w", key="fine")
    first, second, third = await process.send(wrong, forbidden, fine)
    refused(first, RefusalCode.INVALID_INPUT)
    refused(second, RefusalCode.FORBIDDEN)
    accepted(third)


async def test_commands_chained_to_a_start_with_an_existing_key_are_skipped(
    process: ServerProcess,
) -> None:
    first = StartExecution(by=OLIVIA, execution_id=uuid4(), workflow="w", key="k", input=1)
    await process.do(first)
    chosen = uuid4()
    other = StartExecution(by=ENGINE, execution_id=chosen, given_id=str(chosen), workflow="w")
    again = StartExecution(
        by=OLIVIA, execution_id=chosen, given_id=str(chosen), workflow="w", key="k", input=2
    )
    reused, skipped = await process.writer.handle(
        [request_of(again), request_of(step(chosen, "x"))], chained=True
    )
    refused(reused, RefusalCode.KEY_REUSED)
    refused(skipped, RefusalCode.SKIPPED)
    accepted((await process.send(other))[0])


async def test_a_long_history_is_loaded_without_the_lock(
    log_url: str,
) -> None:
    """A start that is repeated by its id: only under the lock it shows that there is one."""
    chosen = uuid4()
    start = StartExecution(by=OLIVIA, execution_id=chosen, given_id=str(chosen), workflow="w")
    async with ServerProcess.open(log_url) as process:
        await process.do(start)
        for first in (0, 200, 400):
            await process.send(*[step(chosen, str(n)) for n in range(first, first + 200)])
    async with ServerProcess.open(log_url) as fresh:
        again = await fresh.do(start)
        assert again.repeated
        assert again.execution.version == 601
        assert (await fresh.do(step(chosen, "600"))).execution.version == 602


async def test_executions_that_are_not_cached_are_loaded_together(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        started = [await process.start() for _ in range(20)]
        for execution in started:
            await process.do(step(execution.id, "one"))
    async with ServerProcess.open(log_url) as fresh:
        outcomes = await fresh.send(*[step(execution.id, "two") for execution in started])
    assert {accepted(outcome).execution.version for outcome in outcomes} == {3}


async def test_an_end_drops_the_hold_also_when_a_retry_is_in_the_same_commit(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    await process.do(claim(execution.id, "one"))
    fail = FailExecution(by=ENGINE, execution_id=execution.id, fence=1, error="no")
    retry = RetryExecution(by=OLIVIA, execution_id=execution.id, expected_version=3)
    for outcome in await process.send(fail, retry):
        accepted(outcome)
    [taken] = await process.leases.claim(ENGINE, "two", ["default"], 1, timedelta(seconds=30))
    assert (taken.execution.id, taken.fence) == (execution.id, 2)


async def test_no_requests_give_no_outcomes(process: ServerProcess) -> None:
    assert await process.send() == []
    assert stored(process) == []
