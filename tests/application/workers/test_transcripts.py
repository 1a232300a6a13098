"""The histories that come with claims."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from application.event_store.histories import HistoryLimits
from application.workers import transcripts
from application.workers.leases import Grant
from application.workers.transcripts import with_transcripts
from application.workers.worker_stream import Claim
from domain.execution.commands import SendSignal
from domain.execution.state import Execution
from tests.application.server_process import ServerProcess, grant, step
from tests.application.workers.test_leases import run_out
from tests.domain.people import ENGINE, OLIVIA
from tests.support.patience import HANGS

LEASE = timedelta(minutes=10)


def counting(process: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> list[list[UUID]]:
    """Keep the executions of each statement that reads histories."""
    read: list[list[UUID]] = []
    histories = process.reader.histories

    async def counted(versions: dict[UUID, int], limits: HistoryLimits) -> Any:
        read.append(list(versions))
        return await histories(versions, limits)

    monkeypatch.setattr(process.reader, "histories", counted)
    return read


async def worked_on(process: ServerProcess, steps: int = 1, size: int = 1) -> Execution:
    """Start an execution whose worker has died after some steps and a question."""
    execution = await process.start()
    await process.leases.claim(ENGINE, "dead", ["default"], 1, LEASE)
    for number in range(steps):
        await process.do(step(execution.id, key=str(number), result="x" * size, fence=1))
    await process.do(grant(await process.ask(execution.id, fence=1)))
    found = await process.reader.execution(execution.id)
    assert found is not None
    return found


def versions(grants: Sequence[Grant]) -> dict[UUID, list[int] | None]:
    return {
        each.execution.id: None
        if each.history is None
        else [event.recorded.version for event in each.history]
        for each in grants
    }


async def test_those_that_a_worker_takes_over_are_read_together(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = counting(process, monkeypatch)
    executions = [await worked_on(process) for _ in range(5)]
    run_out(process, "dead")
    new = await process.start()
    stream = process.dispatcher.follow(ENGINE, "alive", ["default"], 10, LEASE, transcripts=True)
    async with asyncio.timeout(HANGS):
        messages = [await anext(stream) for _ in range(6)]
    grants = [message.grant for message in messages if isinstance(message, Claim)]
    found = versions(grants)
    assert found.pop(new.id) is None
    assert found == {each.id: list(range(1, each.version + 2)) for each in executions}
    assert len(read) <= 2
    await stream.aclose()


async def test_nothing_is_read_for_a_worker_that_does_not_ask(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = counting(process, monkeypatch)
    execution = await worked_on(process)
    run_out(process, "dead")
    polled = await process.long_polling.claim(
        ENGINE, "poller", ["default"], 10, LEASE, wait=timedelta(0), holding=None
    )
    assert versions(polled.grants) == {execution.id: None}
    assert read == []


async def test_a_poll_has_them_too(process: ServerProcess) -> None:
    execution = await worked_on(process)
    run_out(process, "dead")
    polled = await process.long_polling.claim(
        ENGINE, "poller", ["default"], 10, LEASE, wait=timedelta(0), holding=None, transcripts=True
    )
    assert versions(polled.grants) == {execution.id: list(range(1, execution.version + 2))}


def granted(execution: Execution) -> Grant:
    return Grant(execution, execution.fence, execution.updated_at)


async def test_what_is_newer_than_the_claim_is_not_in_it(process: ServerProcess) -> None:
    execution = await worked_on(process)
    await process.do(SendSignal(by=OLIVIA, execution_id=execution.id, name="go", key="k"))
    found = await with_transcripts(process.reader, [granted(execution)])
    assert versions(found) == {execution.id: list(range(1, execution.version + 1))}


async def test_long_ones_are_left_out(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = await worked_on(process), await worked_on(process, size=70_000)
    some = [await worked_on(process, size=3_000) for _ in range(3)]
    many = await worked_on(process, steps=6)
    monkeypatch.setattr(transcripts, "MAX_VERSION", many.version - 1)
    monkeypatch.setattr(transcripts, "LIMITS", HistoryLimits(each=64 * 1024, together=18_000))
    grants = [granted(each) for each in (many, large, small, *some)]
    found = versions(await with_transcripts(process.reader, grants))
    assert list(found) == [each.execution.id for each in grants]
    assert [each is None for each in found.values()] == [True, True, False, False, False, True]


async def test_one_that_is_damaged_is_left_out(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        sound, damaged = await worked_on(process), await worked_on(process)
        process.damage(damaged.id)
        [first, second] = await with_transcripts(process.reader, [granted(damaged), granted(sound)])
        assert first.history is None
        assert second.history is not None


async def test_claims_go_out_while_the_database_is_away(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> Any:
        raise psycopg.OperationalError

    execution = await worked_on(process)
    monkeypatch.setattr(process.reader, "histories", away)
    [found] = await with_transcripts(process.reader, [granted(execution)])
    assert (found.execution.id, found.history) == (execution.id, None)
    assert await with_transcripts(process.reader, []) == []
