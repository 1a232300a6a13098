"""Executions are assigned to workers with an open stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from application.event_store.chained_events import LoggedEvent
from application.event_store.reader import Transition
from application.workers.known_workflows import KnownWorkflows
from application.workers.worker_stream import (
    Claim,
    Ended,
    Happened,
    Lost,
    Message,
    Resolved,
    Stopped,
)
from domain.execution.commands import (
    CancelExecution,
    FailExecution,
    ParkExecution,
    RetryExecution,
    SendSignal,
    SetTimer,
    StartChild,
    UnparkExecution,
)
from domain.execution.events import ChildEnded, Resumed, SignalReceived, Started, TimerFired
from domain.identifiers import child_id
from tests.application.server_process import ServerProcess, claim, complete, grant, step
from tests.application.workers.test_leases import run_out
from tests.domain.people import ENGINE, OLIVIA
from tests.support.patience import HANGS

LEASE = timedelta(minutes=10)


class Worker:
    """Reads its stream into ``messages``."""

    def __init__(self, stream: AsyncGenerator[Message, None]) -> None:
        self._stream = stream

    async def next(self) -> Message:
        async with asyncio.timeout(HANGS):
            return await anext(self._stream)

    async def claimed(self) -> Any:
        message = await self.next()
        assert isinstance(message, Claim), message
        return message.grant


@asynccontextmanager
async def worker(
    process: ServerProcess,
    name: str = "one",
    capacity: int = 10,
    lease: timedelta = LEASE,
    grace: timedelta | None = None,
    *,
    cut: bool = False,
    known: KnownWorkflows | None = None,
) -> AsyncIterator[Worker]:
    async def was_cut() -> bool:
        return cut

    stream = process.dispatcher.follow(
        ENGINE, name, ["default"], capacity, lease, grace, was_cut, known
    )
    try:
        yield Worker(stream)
    finally:
        await stream.aclose()


async def test_a_started_execution_is_claimed_for_a_stream(process: ServerProcess) -> None:
    async with worker(process) as one:
        first = asyncio.create_task(one.claimed())
        await asyncio.sleep(0)
        execution = await process.start()
        granted = await first
        assert (granted.execution.id, granted.fence) == (execution.id, 1)


async def test_executions_from_before_the_stream_are_claimed_too(process: ServerProcess) -> None:
    execution = await process.start()
    async with worker(process) as one:
        assert (await one.claimed()).execution.id == execution.id


async def test_what_the_worker_holds_is_sent_again_with_the_same_fence(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    async with worker(process) as one:
        assert (await one.claimed()).fence == 1
    async with worker(process) as again:
        granted = await again.claimed()
        assert (granted.execution.id, granted.fence) == (execution.id, 1)


async def test_every_resolution_wakes_the_worker(process: ServerProcess) -> None:
    execution = await process.start()
    async with worker(process) as one:
        await one.claimed()
        approvals = [await process.ask(execution.id, key=key, fence=1) for key in "ab"]
        for approval in approvals:
            await process.do(grant(approval))
            message = await one.next()
            assert isinstance(message, Resolved)
            assert message.ordinal == approval.ordinal
            assert not message.execution.approvals[approval.ordinal].pending


async def test_a_commit_of_this_process_is_delivered_with_its_states(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker gets the event before anything is read from the cache or the log."""

    def never(*_: object) -> NoReturn:
        raise AssertionError

    execution = await process.start()
    async with worker(process) as one:
        await one.claimed()
        approval = await process.ask(execution.id, fence=1)
        monkeypatch.setattr(process.recent, "head_after", never)
        for name in ("after", "transitions"):
            monkeypatch.setattr(process.reader, name, never)
        granted = await process.do(grant(approval))
        message = await one.next()
        assert isinstance(message, Resolved)
        assert (message.event.recorded.version, message.execution.version) == (
            granted.execution.version - 1, granted.execution.version - 1,
        )  # fmt: skip


async def test_the_holder_is_told_when_somebody_else_ends_the_execution(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    async with worker(process) as one:
        await one.claimed()
        await process.do(CancelExecution(by=OLIVIA, execution_id=execution.id, reason="no"))
        assert await one.next() == Ended(execution.id)


async def test_the_withdrawals_by_an_end_are_not_sent(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    async with worker(process) as one:
        await one.claimed()
        await process.ask(execution.id, fence=1)
        await process.do(CancelExecution(by=OLIVIA, execution_id=execution.id, reason="no"))
        assert await one.next() == Ended(execution.id)


async def test_a_retried_execution_is_claimed_again(process: ServerProcess) -> None:
    execution = await process.start()
    async with worker(process) as one:
        await one.claimed()
        await process.do(FailExecution(by=ENGINE, execution_id=execution.id, fence=1, error="no"))
        await process.do(RetryExecution(by=OLIVIA, execution_id=execution.id, expected_version=3))
        assert (await one.claimed()).fence == 2


async def test_an_execution_that_another_worker_took_over_is_lost(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process, ServerProcess.open(log_url) as other:
        execution = await process.start()
        async with worker(process) as one:
            await one.claimed()
            run_out(process, "one")
            [taken] = await other.leases.claim(ENGINE, "two", ["default"], 1, LEASE)
            assert taken.fence == 2
            assert await one.next() == Lost(execution.id)


async def test_a_dead_worker_s_executions_go_to_another(process: ServerProcess) -> None:
    execution = await process.start()
    await process.leases.claim(ENGINE, "dead", ["default"], 1, LEASE)
    async with worker(process, "two") as two:
        first = asyncio.create_task(two.claimed())
        await asyncio.sleep(0)
        run_out(process, "dead")
        granted = await first
        assert (granted.execution.id, granted.fence) == (execution.id, 2)


async def test_a_takeover_begins_when_the_lease_ends(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.workers.claim_scheduler.SWEEP_EVERY", 600)
    execution = await process.start()
    await process.leases.claim(ENGINE, "dead", ["default"], 1, timedelta(seconds=1))
    async with worker(process, "two") as two:
        assert (await two.claimed()).execution.id == execution.id


async def test_events_of_another_process_are_sent_although_no_state_is_in_memory(
    log_url: str,
) -> None:
    opened = ServerProcess.open(log_url), ServerProcess.open(log_url)
    async with opened[0] as process, opened[1] as other, worker(process) as one:
        executions = [await process.start() for _ in range(3)]
        for _ in executions:
            await one.claimed()
        asked = [await process.ask(each.id, fence=1) for each in executions]
        process.recent.forget()
        await other.send(*(grant(each) for each in asked))
        await process.do(CancelExecution(execution_id=executions[0].id, by=OLIVIA, reason="no"))
        resolved = []
        while isinstance(told := await one.next(), Resolved):
            resolved.append(told.execution.id)
    assert told == Ended(executions[0].id)
    # If the grant and the end are delivered together, only the end is sent.
    ids = [each.id for each in executions]
    assert resolved in (ids, ids[1:])


async def test_states_of_executions_that_no_stream_here_holds_are_not_loaded(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = ServerProcess.open(log_url), ServerProcess.open(log_url)
    async with opened[0] as process, opened[1] as other, worker(process, capacity=1) as one:
        execution = await other.start()
        await one.claimed()
        asked = await other.ask((await other.start()).id)
        loaded: list[LoggedEvent] = []
        transitions = process.reader.transitions

        async def counted(events: Sequence[LoggedEvent]) -> list[Transition | Exception]:
            loaded.extend(events)
            return await transitions(events)

        process.recent.forget()
        monkeypatch.setattr(process.reader, "transitions", counted)
        granted = await other.do(grant(asked))
        async with asyncio.timeout(HANGS):
            await anext(process.tail.follow(granted.position - 1))
        assert loaded == []
        await process.do(CancelExecution(by=OLIVIA, execution_id=execution.id, reason="no"))
        assert await one.next() == Ended(execution.id)
        assert (await one.claimed()).execution.id == asked.id.execution_id


async def test_an_open_stream_keeps_the_lease(process: ServerProcess) -> None:
    await process.start()
    async with worker(process, lease=timedelta(seconds=5)) as one:
        expires = (await one.claimed()).lease_expires_at
        async with asyncio.timeout(HANGS):
            while await process.leases.renew(ENGINE.id, "other", timedelta(0)) < expires:
                await asyncio.sleep(0.05)
        assert await process.leases.claim(ENGINE, "other", ["default"], 1, LEASE) == []


async def test_a_second_stream_of_a_worker_ends_the_first(process: ServerProcess) -> None:
    await process.start()
    async with worker(process) as first:
        await first.claimed()
        async with worker(process) as second:
            await second.claimed()
            try:
                await first.next()
            except StopAsyncIteration:
                return
    raise AssertionError


async def test_a_claim_made_elsewhere_for_the_same_worker_comes_on_its_stream(
    log_url: str,
) -> None:
    async with (
        ServerProcess.open(log_url) as process,
        ServerProcess.open(log_url) as other,
        worker(process, capacity=0) as one,
    ):
        first = asyncio.create_task(one.claimed())
        await asyncio.sleep(0)
        execution = await other.start()
        await other.do(claim(execution.id, "one"))
        assert (await first).execution.id == execution.id
        await other.do(step(execution.id, "x", fence=1))


async def test_a_new_claim_of_what_is_held_comes_with_its_fence(log_url: str) -> None:
    """Released through another process, and claimed again by the sweep of this one."""
    async with ServerProcess.open(log_url) as process, ServerProcess.open(log_url) as other:
        execution = await process.start()
        async with worker(process) as one:
            assert (await one.claimed()).fence == 1
            await other.leases.release(ENGINE, "one", None)
            assert (await one.claimed()).fence == 2
            beat = await process.leases.heartbeat(ENGINE, "one", LEASE)
            assert (beat.executions, beat.lost) == (1, ())
            assert execution.id in set(await process.leases.held(ENGINE.id, "one"))


async def test_a_worker_may_hold_more_than_its_mailbox_takes(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.workers.worker_stream.MAILBOX", 5)
    monkeypatch.setattr("application.workers.dispatcher.CHUNK", 4)
    started = {(await process.start()).id for _ in range(12)}
    await process.leases.claim(ENGINE, "one", ["default"], 12, LEASE)
    async with worker(process) as one:
        assert {(await one.claimed()).execution.id for _ in range(12)} == started


async def test_a_damaged_execution_does_not_stop_the_others(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        damaged, sound = await process.start(), await process.start()
        process.damage(damaged.id)
    async with ServerProcess.open(log_url) as fresh, worker(fresh) as one:
        assert (await one.claimed()).execution.id == sound.id


async def test_a_worker_is_told_of_timers_signals_and_children(process: ServerProcess) -> None:
    execution = await process.start()
    about: dict[str, Any] = {"execution_id": execution.id}
    async with worker(process, capacity=1) as one:
        await one.claimed()
        await process.do(SendSignal(by=OLIVIA, key="a", name="ticket", payload=1, **about))
        signal = await one.next()
        await process.do(SetTimer(by=ENGINE, fence=1, key="due", delay=timedelta(0), **about))
        timer = await one.next()
        await process.do(
            StartChild(by=ENGINE, fence=1, key="c", workflow="w", queue="default", **about)
        )
        child = child_id(execution.id, "c", 1)
        await process.until(child, Started)
        await process.do(complete(child))
        told = [signal, timer, await one.next()]
    assert [type(m.event.recorded.event) for m in told if isinstance(m, Happened)] == [
        SignalReceived,
        TimerFired,
        ChildEnded,
    ]


async def test_a_parked_execution_is_not_claimed_until_it_is_unparked(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    about: dict[str, Any] = {"execution_id": execution.id}
    async with worker(process) as one:
        await one.claimed()
        await process.do(ParkExecution(by=ENGINE, fence=1, reason="changed code", **about))
        assert await one.next() == Stopped(execution.id)
        run_out(process, "one")
        await process.do(SendSignal(by=OLIVIA, key="a", name="go", **about))
        other = await process.start()
        assert (await one.claimed()).execution.id == other.id
        assert await process.leases.held(ENGINE.id, "one") == [other.id]
        await process.do(UnparkExecution(by=OLIVIA, **about))
        granted = await one.claimed()
        assert (granted.execution.id, granted.fence) == (execution.id, 2)


async def test_a_worker_is_told_that_a_person_has_parked_what_it_holds(
    process: ServerProcess,
) -> None:
    execution = await process.start()
    async with worker(process) as one:
        await one.claimed()
        await process.do(ParkExecution(by=OLIVIA, execution_id=execution.id, reason="wait"))
        assert await one.next() == Stopped(execution.id)
        assert await process.leases.held(ENGINE.id, "one") == []


async def test_a_decision_while_a_worker_reconnects_is_not_lost(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = await process.start()
    async with worker(process) as one:
        await one.claimed()
    approval = await process.ask(execution.id, fence=1)
    held, asked = process.leases.held, 0

    async def decided_meanwhile(*who: str) -> Any:
        nonlocal asked
        asked += 1
        if asked == 2:
            # The held executions have been read by now, and are not sent yet.
            await process.do(grant(approval))
            await process.until(execution.id, Resumed)
        return await held(*who)

    monkeypatch.setattr(process.leases, "held", decided_meanwhile)
    async with worker(process) as again:
        told = [await again.claimed(), await again.claimed()]
    assert [each.fence for each in told] == [1, 1]
    assert told[0].execution.woken_version == 0
    assert told[1].execution.woken_version > 0
