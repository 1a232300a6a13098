"""An execution is held by one worker at a time, and only until its lease ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from application.command_handling.outcomes import Accepted
from application.event_store.schema import create_tables
from application.workers.known_workflows import Candidate
from domain.execution.commands import CancelExecution
from domain.execution.events import Claimed
from domain.refusals import RefusalCode
from domain.serialization.event_codec import decode
from tests.application.server_process import (
    ServerProcess,
    claim,
    complete,
    grant,
    locked,
    refused,
    step,
)
from tests.domain.people import ENGINE, OLIVIA
from tests.support.patience import HANGS

pytestmark = pytest.mark.both_servers

LEASE = timedelta(minutes=10)


def run_out(process: ServerProcess, worker: str) -> None:
    """Let the worker's lease end now."""
    with psycopg.connect(process.url) as connection:
        connection.execute(
            "UPDATE worker_leases SET expires_at = clock_timestamp() WHERE worker = %s", (worker,)
        )


async def take(process: ServerProcess, worker: str, limit: int = 10) -> dict[object, int]:
    grants = await process.leases.claim(ENGINE, worker, ["default"], limit, LEASE)
    return {grant.execution.id: grant.fence for grant in grants}


async def test_a_claim_takes_free_executions_up_to_its_limit(process: ServerProcess) -> None:
    started = {(await process.start()).id for _ in range(3)}
    elsewhere = await process.start(queue="elsewhere")
    first = await take(process, "one", limit=2)
    second = await take(process, "two", limit=2)
    assert (len(first), len(second)) == (2, 1)
    assert set(first) | set(second) == started
    assert elsewhere.id not in set(first) | set(second)
    assert set(first.values()) == {1}


async def test_a_lease_ends_by_the_database_s_clock(process: ServerProcess) -> None:
    await process.start()
    before = datetime.now(UTC)
    [granted] = await process.leases.claim(ENGINE, "one", ["default"], 1, LEASE)
    assert before + LEASE <= granted.lease_expires_at <= datetime.now(UTC) + LEASE


async def test_a_held_execution_is_not_given_to_another_worker(process: ServerProcess) -> None:
    execution = await process.start()
    assert await take(process, "one") == {execution.id: 1}
    assert await take(process, "two") == {}
    refused((await process.send(claim(execution.id, "two")))[0], RefusalCode.INVALID_TRANSITION)


async def test_after_the_lease_another_takes_over_and_the_first_is_told(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    await take(process, "one")
    run_out(process, "one")
    assert await take(process, "two") == {execution.id: 2}
    refused((await process.send(step(execution.id, "late", fence=1)))[0], RefusalCode.FENCED)
    beat = await process.leases.heartbeat(ENGINE, "one", LEASE)
    assert beat.lost == (execution.id,)
    assert beat.executions == 0
    assert (await process.leases.heartbeat(ENGINE, "one", LEASE)).lost == ()


def taken_over(process: ServerProcess, execution_id: UUID) -> list[bool]:
    """Return of each claim whether the worker before was gone, with work left to do."""
    with psycopg.connect(process.url) as connection:
        rows = connection.execute(
            "SELECT originator_version, topic, state FROM execution_events"
            " WHERE originator_id = %s ORDER BY originator_version",
            (execution_id,),
        ).fetchall()
    events = [decode(execution_id, *row).event for row in rows]
    return [event.taken_over for event in events if isinstance(event, Claimed)]


async def test_a_claim_says_whether_the_worker_before_was_gone_with_work_to_do(
    process: ServerProcess,
) -> None:
    working, waiting = await process.start(), await process.start()
    await take(process, "one")
    await process.leases.release(ENGINE, "one", [working.id])
    await take(process, "two")
    await process.ask(waiting.id, fence=1)
    for worker in ("one", "two"):
        run_out(process, worker)
    assert await take(process, "three") == {working.id: 3, waiting.id: 2}
    # Given back, taken over; and nothing that waits is counted.
    assert taken_over(process, working.id) == [False, False, True]
    assert taken_over(process, waiting.id) == [False, False]


async def test_a_heartbeat_keeps_all_that_is_held(process: ServerProcess) -> None:
    for _ in range(3):
        await process.start()
    await take(process, "one")
    run_out(process, "one")
    assert (await process.leases.heartbeat(ENGINE, "one", LEASE)).executions == 3
    assert await take(process, "two") == {}


async def test_a_released_execution_can_be_claimed_with_a_new_fence(process: ServerProcess) -> None:
    execution, kept = await process.start(), await process.start()
    await take(process, "one")
    assert await process.leases.release(ENGINE, "one", [execution.id]) == [execution.id]
    assert await take(process, "two") == {execution.id: 2}
    assert await process.leases.release(ENGINE, "one", None) == [kept.id]
    assert await process.leases.release(ENGINE, "one", None) == []


async def test_a_waiting_execution_is_not_claimed_until_an_approval_is_resolved(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    await take(process, "one")
    first = await process.ask(execution.id, key="first", fence=1)
    second = await process.ask(execution.id, key="second", fence=1)
    await process.leases.release(ENGINE, "one", None)
    assert await take(process, "two") == {}
    await process.do(grant(first))
    assert await take(process, "two") == {execution.id: 2}
    await process.leases.release(ENGINE, "two", None)
    assert await take(process, "one") == {}
    await process.do(grant(second))
    assert await take(process, "one") == {execution.id: 3}


async def test_an_execution_resolved_while_it_was_held_is_not_free(process: ServerProcess) -> None:
    execution = await process.start()
    await take(process, "one")
    await process.do(grant(await process.ask(execution.id, fence=1)))
    assert await take(process, "two") == {}


async def test_workers_belong_to_their_token_s_owner(process: ServerProcess) -> None:
    execution = await process.start()
    await take(process, "one")
    stranger = type(ENGINE)(id="someone", name="Someone", roles=ENGINE.roles)
    assert await process.leases.release(stranger, "one", [execution.id]) == []
    assert (await process.leases.heartbeat(stranger, "one", LEASE)).executions == 0


async def test_an_end_drops_the_hold(process: ServerProcess) -> None:
    done, cancelled = await process.start(), await process.start()
    await take(process, "one")
    await process.do(complete(done.id, fence=1))
    await process.do(CancelExecution(by=OLIVIA, execution_id=cancelled.id, reason="no"))
    assert (await process.leases.heartbeat(ENGINE, "one", LEASE)).executions == 0
    run_out(process, "one")
    assert await take(process, "two") == {}


async def test_no_execution_is_given_to_two_workers_that_ask_at_once(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        started = {(await one.start()).id for _ in range(60)}
        taken = await asyncio.gather(
            *(take(process, f"worker-{n}", 10) for n in range(4) for process in (one, two))
        )
        every = [execution_id for grants in taken for execution_id in grants]
        assert len(every) == len(set(every))
        assert set(every) <= started


async def test_old_leases_without_executions_are_deleted(process: ServerProcess) -> None:
    execution = await process.start()
    await take(process, "holder")
    await process.leases.renew(ENGINE.id, "idle", LEASE)
    with psycopg.connect(process.url, autocommit=True) as connection:
        connection.execute("UPDATE worker_leases SET expires_at = now() - interval '2 days'")
        await process.leases.delete_expired()
        rows = connection.execute("SELECT worker FROM worker_leases").fetchall()
    assert rows == [("holder",)]
    assert execution.id in await take(process, "other")


async def test_a_claim_that_was_refused_does_not_hold(process: ServerProcess) -> None:
    execution = await process.start()
    candidate = Candidate(execution.id, "default", "travel", None)
    results = await process.leases.claim_these(ENGINE, "one", [candidate, candidate])
    assert [isinstance(outcome, Accepted) for outcome in results] == [True, False]


async def test_an_execution_that_the_worker_claimed_again_is_not_lost(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    await take(process, "one")
    run_out(process, "one")
    assert await take(process, "two") == {execution.id: 2}
    await process.leases.release(ENGINE, "two", None)
    assert await take(process, "one") == {execution.id: 3}
    beat = await process.leases.heartbeat(ENGINE, "one", LEASE)
    assert (beat.executions, beat.lost) == (1, ())


async def test_a_worker_takes_over_from_itself_without_a_loss(process: ServerProcess) -> None:
    execution = await process.start()
    await take(process, "one")
    run_out(process, "one")
    # The lease is renewed by asking, so nothing has run out by the time that it looks.
    assert await take(process, "one") == {}
    beat = await process.leases.heartbeat(ENGINE, "one", LEASE)
    assert (beat.executions, beat.lost) == (1, ())
    assert execution.id in set(await process.leases.held(ENGINE.id, "one"))


async def test_executions_of_dead_workers_are_claimed_before_free_ones(
    process: ServerProcess,
) -> None:
    orphan = await process.start()
    await take(process, "dead")
    run_out(process, "dead")
    for _ in range(3):
        await process.start()
    assert list(await take(process, "two", limit=1)) == [orphan.id]


async def test_the_execution_that_was_free_longest_is_claimed_first(process: ServerProcess) -> None:
    started = [(await process.start()).id for _ in range(6)]
    assert [next(iter(await take(process, "one", limit=1))) for _ in range(6)] == started


async def test_a_damaged_execution_does_not_block_others(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        damaged, sound = await process.start(), await process.start()
        process.damage(damaged.id)
    async with ServerProcess.open(log_url) as fresh:
        assert await take(fresh, "one", limit=1) == {sound.id: 1}


async def test_a_process_stopped_while_it_releases_keeps_no_lock(process: ServerProcess) -> None:
    """It is one statement: there is no moment between the lock and the commit."""
    execution = await process.start()
    await take(process, "one")
    with locked(process.url):
        releasing = asyncio.create_task(process.leases.release(ENGINE, "one", None))
        await asyncio.sleep(0.05)
        assert not releasing.done()
    assert await releasing == [execution.id]


@pytest.mark.parametrize("fence", [1, 2, 3, None])
async def test_a_release_does_not_end_a_later_claim_of_the_same_worker(
    process: ServerProcess, fence: int | None
) -> None:
    execution = await process.start()
    assert await take(process, "one") == {execution.id: 1}
    released = await process.leases.release_at(
        ENGINE, "one", {execution.id: None}, fences={execution.id: 1}
    )
    assert released == [execution.id]
    assert await take(process, "one") == {execution.id: 2}
    released = await process.leases.release_at(
        ENGINE, "one", {execution.id: None}, fences={execution.id: fence}
    )
    # A server that knows no fences yet leaves that of an earlier claim in place.
    assert released == ([] if fence == 1 else [execution.id])
    assert await take(process, "two") == dict.fromkeys(released, 3)


async def test_a_release_of_all_includes_later_claims(
    process: ServerProcess,
) -> None:
    """What was dealt with under the earlier one is not known of the later."""
    execution = await process.start()
    await take(process, "one")
    await process.leases.release(ENGINE, "one", None)
    await take(process, "one")
    first = await process.ask(execution.id, key="a", fence=2)
    await process.ask(execution.id, key="b", fence=2)
    woken = (await process.do(grant(first))).execution
    released = await process.leases.release_at(
        ENGINE, "one", {execution.id: woken.woken_version}, fences={execution.id: 1}, others=True
    )
    assert released == [execution.id]
    assert await take(process, "two") == {execution.id: 3}


async def test_a_claim_without_a_fence_is_released_whatever_the_fence(
    log_url: str,
) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        await take(process, "one")
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute("ALTER TABLE execution_holds DROP COLUMN fence")
        create_tables(log_url)
        released = await process.leases.release_at(
            ENGINE, "one", {execution.id: None}, fences={execution.id: 7}
        )
        assert released == [execution.id]
        assert await take(process, "two") == {execution.id: 2}
        released = await process.leases.release_at(
            ENGINE, "two", {execution.id: None}, fences={execution.id: 1}
        )
        assert released == []


@pytest.mark.parametrize(("seen", "claimable"), [(None, True), (0, True), (3, False)])
async def test_a_release_says_whether_there_is_work_left(
    process: ServerProcess, seen: int | None, *, claimable: bool
) -> None:
    """One of two approvals was resolved, at version 5; the worker may have seen it or not."""
    execution = await process.start()
    await take(process, "one")
    first = await process.ask(execution.id, key="a", fence=1)
    await process.ask(execution.id, key="b", fence=1)
    woken = (await process.do(grant(first))).execution.woken_version
    assert woken == 5
    known = woken if seen == 3 else seen

    assert await process.leases.release_at(ENGINE, "one", {execution.id: known}) == [execution.id]

    assert (await take(process, "two") != {}) is claimable


@pytest.mark.parametrize("everything", [True, False], ids=["all", "one"])
async def test_a_release_does_not_end_a_claim_that_was_committed_while_it_waited(
    log_url: str, *, everything: bool
) -> None:
    """The worker's lease is over; another's claim has the log's lock when it gives back."""
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        assert await take(process, "late") == {execution.id: 1}
        run_out(process, "late")
        with locked(process.url):
            claiming = asyncio.create_task(take(process, "next"))
            await waits_for_lock(process.url, 1)
            releasing = asyncio.create_task(
                process.leases.release(ENGINE, "late", None)
                if everything
                else process.leases.release_at(
                    ENGINE, "late", {execution.id: None}, fences={execution.id: 1}
                )
            )
            await waits_for_lock(process.url, 2)
        assert await claiming == {execution.id: 2}
        assert await releasing == []
        await process.do(step(execution.id, "one", fence=2))
        assert await take(process, "third") == {}


async def test_a_release_of_all_includes_what_was_claimed_while_it_waited(
    process: ServerProcess,
) -> None:
    first, second = await process.start(), await process.start()
    # What was claimed before is claimed under the lock, so the claim keeps its place before the
    # release. A first claim that waits for a tenth of a second is decided again, after the release.
    await take(process, "earlier")
    await process.leases.release(ENGINE, "earlier", None)
    assert await take(process, "one", limit=1) == {first.id: 2}
    with locked(process.url):
        claiming = asyncio.create_task(take(process, "one", limit=1))
        await waits_for_lock(process.url, 1)
        releasing = asyncio.create_task(process.leases.release(ENGINE, "one", None))
        await waits_for_lock(process.url, 2)
    assert await claiming == {second.id: 2}
    assert sorted(await releasing) == sorted([first.id, second.id])


async def waits_for_lock(url: str, number: int) -> None:
    """Wait until so many sessions wait for the log's lock."""
    async with (
        asyncio.timeout(HANGS),
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        while True:
            cursor = await connection.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            if await cursor.fetchone() == (number,):
                return
            await asyncio.sleep(0.01)
