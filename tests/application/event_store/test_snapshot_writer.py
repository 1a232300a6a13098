"""Snapshots are written apart from commits, seldom for long histories, and few are kept."""

import asyncio
import threading
from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.event_store import snapshot_writer
from application.event_store.chained_events import Head
from application.event_store.snapshot_writer import SnapshotWriter
from application.event_store.snapshots import SNAPSHOT_INTERVAL, encode_snapshot, snapshot_due
from tests.application.server_process import ServerProcess, step
from tests.support.patience import HANGS


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANGS):
        while not holds():
            await asyncio.sleep(0.01)


def versions(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT originator_version FROM execution_snapshots ORDER BY originator_version"
        ).fetchall()
    return [version for (version,) in found]


@given(st.integers(0, 200_000), st.integers(0, 3_000))
def test_the_interval_grows_with_the_history(before: int, more: int) -> None:
    """At most a tenth of the events come after the last snapshot."""
    version = before + more
    if more >= max(SNAPSHOT_INTERVAL, version // 10):
        assert snapshot_due(before, version)


def test_a_history_of_50_000_events_has_few_snapshots() -> None:
    due = [version for version in range(1, 50_001) if snapshot_due(version - 1, version)]
    assert due[0] == SNAPSHOT_INTERVAL
    assert len(due) < 120
    assert sum(due) < 30 * 50_000 * 1.5


async def test_only_the_latest_few_are_kept(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        for hundred in range(5):
            await process.send(*[step(execution.id, f"{hundred}-{n}") for n in range(100)])
            last = 100 * (hundred + 1) + 1
            await until(lambda last=last: versions(log_url)[-1:] == [last])  # type: ignore[misc]
    assert versions(log_url) == [301, 401, 501]


async def test_the_latest_head_of_each_execution_is_written_and_the_queue_is_dropped_at_the_end(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(head: Head, secret: bytes) -> bytes:
        began.set()
        assert go_on.wait(10)
        return encode_snapshot(head, secret)

    monkeypatch.setattr(snapshot_writer, "encode_snapshot", slow)
    async with ServerProcess.open(log_url) as process:
        executions = [await process.start(execution_id=uuid4()) for _ in range(2)]
    writer = SnapshotWriter(log_url)
    try:
        first, second = (Head(execution, "0" * 64, 1) for execution in executions)
        writer.offer(first)
        assert await asyncio.to_thread(began.wait, 10)
        writer.offer(second)
        writer.offer(second)
        assert len(writer._queued) == 1
        closing = asyncio.create_task(asyncio.to_thread(writer.close))
        await until(lambda: writer._closing)
        go_on.set()
        await closing
    finally:
        go_on.set()
    with psycopg.connect(log_url) as connection:
        written = connection.execute("SELECT originator_id FROM execution_snapshots").fetchall()
    assert written == [(first.id,)]


async def test_a_failed_snapshot_does_not_prevent_later_ones(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute("ALTER TABLE execution_snapshots RENAME TO away")
            await process.send(*[step(execution.id, f"a-{n}") for n in range(100)])
            await until(lambda: not process.writer._snapshots._queued)
            connection.execute("ALTER TABLE away RENAME TO execution_snapshots")
        await process.send(*[step(execution.id, f"b-{n}") for n in range(100)])
        await until(lambda: versions(log_url)[-1:] == [201])
