"""Commands become commits: all or nothing, in order, once."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NoReturn
from uuid import UUID, uuid4

import psycopg
import pytest

from application.command_handling.outcomes import Accepted, Outcome
from application.event_store.chained_events import FoldedEvent
from application.event_store.verification.log_audit import Verification
from domain.execution.commands import CancelExecution, FailExecution, RetryExecution, StartExecution
from domain.execution.events import Resumed
from domain.refusals import DamagedEventError, RefusalCode
from domain.serialization.event_codec import encode
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
    assert outcome.position == await process.reader.position()
    assert [topic for _, topic in stored(process)] == [
        "execution.started.v1",
        "execution.approval-requested.v1",
        "execution.approval-granted.v1",
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
            await _until(lambda: process.writer.depth == 0)
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


@pytest.mark.unsound
async def test_a_damaged_execution_fails_alone(process: ServerProcess) -> None:
    damaged, sound = await process.start(), await process.start()
    process.damage(damaged.id)
    async with ServerProcess.open(process.url) as fresh:
        broken, fine = await fresh.send(step(damaged.id, "x"), step(sound.id, "x"))
    assert isinstance(broken, DamagedEventError)
    accepted(fine)


async def test_an_unexpected_error_in_one_command_does_not_fail_the_others(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await process.start(), await process.start()

    def faulty(recorded: object) -> bytes:
        event = recorded.event  # type: ignore[attr-defined]
        if getattr(event, "key", None) == "bug":
            raise ZeroDivisionError
        return encode(recorded)  # type: ignore[arg-type]

    monkeypatch.setattr("application.command_handling.batch.encode", faulty)
    first, second, third = await process.send(
        step(one.id, "bug"), step(two.id, "fine"), step(one.id, "fine")
    )
    assert isinstance(first, ZeroDivisionError)
    accepted(second)
    assert accepted(third).execution.version == 2


async def test_an_error_between_two_events_records_neither(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a commit would be published with the states of other events."""
    told: list[tuple[UUID, UUID]] = []

    def note(entries: Sequence[FoldedEvent]) -> None:
        for entry in entries:
            assert entry.head is not None
            told.append((entry.event.recorded.execution_id, entry.head.id))

    one, two = await process.start(), await process.start()
    await process.do(claim(one.id))
    approval = await process.ask(one.id, fence=1)

    def faulty(recorded: object) -> bytes:
        if isinstance(recorded.event, Resumed):  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return encode(recorded)  # type: ignore[arg-type]

    monkeypatch.setattr("application.command_handling.batch.encode", faulty)
    process.tail.add_listener(note)
    granted, other = await process.send(grant(approval), step(two.id, "fine"))
    assert isinstance(granted, ZeroDivisionError)
    accepted(other)
    assert told == [(two.id, two.id)]


async def test_a_failed_reading_of_the_clock_fails_no_command(log_url: str) -> None:
    async with ServerProcess.open(log_url, clock_interval=0.02) as process:
        await process.start()
        looks = 0
        writer = process.writer

        async def look() -> NoReturn:
            nonlocal looks
            looks += 1
            raise ZeroDivisionError

        writer._unit_of_work.read_clock = look  # type: ignore[method-assign]
        await _until(lambda: looks > 1)
        # It may have left the connection in the middle of something.
        assert writer._unit_of_work.backend_pid is None
        await process.start()


async def test_what_is_queued_at_closing_is_answered(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        tasks = [asyncio.create_task(process.do(step(execution.id, str(n)))) for n in range(50)]
        await asyncio.sleep(0)
        await process.writer.close()
        assert len(await asyncio.gather(*tasks)) == 50
        [late] = await process.send(step(execution.id, "late"))
        refused(late, RefusalCode.OVERLOADED)


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


async def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


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


async def test_a_log_that_lost_events_is_not_continued_from_memory(log_url: str) -> None:
    """A server that took over may lack the last commits; what was seen of them counts no more."""
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        await process.do(step(execution.id, "lost"))
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute("DELETE FROM execution_events WHERE originator_version = 2")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        async with ServerProcess.open(log_url) as other:
            await other.do(step(execution.id, "instead"))
        after = await process.do(step(execution.id, "next"))
    assert set(after.execution.steps) == {"instead", "next"}
    assert list(Verification(log_url).findings()) == []


async def test_the_database_s_own_isolation_does_not_matter(log_url: str) -> None:
    with psycopg.connect(log_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(
            f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"
        )
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        execution = await one.start()

        async def steps(process: ServerProcess, first: int) -> None:
            for n in range(first, first + 100):
                await process.do(step(execution.id, str(n)))

        followed: list[int] = []

        async def follow() -> None:
            async for batch in one.tail.follow(0):
                followed.extend(event.recorded.version for event in batch.events)
                if len(followed) == 201:
                    return

        async with asyncio.timeout(60):
            await asyncio.gather(follow(), steps(one, 0), steps(two, 100))
    assert followed == list(range(1, 202))


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


async def test_a_command_is_carried_out_although_its_caller_gave_up(process: ServerProcess) -> None:
    execution = await process.start()
    with locked(process.url):
        taken = asyncio.create_task(process.send(step(execution.id, "taken")))
        await asyncio.sleep(0)
        await _until(lambda: process.writer.depth == 0)
        queued = asyncio.create_task(process.send(step(execution.id, "queued")))
        await _until(lambda: process.writer.depth == 1)
        for task in (taken, queued):
            task.cancel()
        await asyncio.wait([taken, queued])
    last = await process.do(step(execution.id, "after"))
    assert set(last.execution.steps) == {"taken", "queued", "after"}
    assert process.writer.depth == 0


async def test_commands_that_wait_at_the_end_are_answered(log_url: str) -> None:
    async with ServerProcess.open(log_url, batch_limit=4) as process:
        execution = await process.start()
        with locked(process.url):
            waiting = [
                asyncio.create_task(process.send(step(execution.id, str(number))))
                for number in range(50)
            ]
            await _until(lambda: process.writer.depth > 0)
            closing = asyncio.create_task(process.writer.close())
            await asyncio.sleep(0)
        await closing
        for [outcome] in await asyncio.gather(*waiting):
            accepted(outcome)
        [late] = await process.send(step(execution.id, "late"))
        refused(late, RefusalCode.OVERLOADED)


async def test_a_listener_that_fails_does_not_affect_others(process: ServerProcess) -> None:
    heard: list[object] = []

    def fails(*_: object) -> None:
        raise ValueError

    process.tail.add_listener(fails)
    process.tail.add_listener(heard.extend)
    execution = await process.start()
    await process.do(step(execution.id, "one"))
    assert len(heard) == 2
