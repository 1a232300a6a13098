"""A server that is told to end answers its open requests, over HTTP and WebSocket."""

import asyncio
import signal
from contextlib import aclosing
from pathlib import Path

import psycopg
import pytest

from application.event_store.recorder import lock_statement
from placet import Client
from tests.support.forked import stack
from tests.support.patience import HANGS


@pytest.mark.parametrize("by_socket", [False, True])
async def test_a_command_under_way_is_answered(
    log_url: str, tmp_path: Path, *, by_socket: bool
) -> None:
    with stack(tmp_path / "server", database_url=log_url) as server:
        async with Client(server.url, server.tokens["operator"], retry_for=0) as client:
            first = (await client.start("w")).execution
            assert first is not None
            async with aclosing(client.execution_events(first.id, after_version=0)) as stream:
                if by_socket:
                    await anext(stream)
                with psycopg.connect(log_url) as connection:
                    connection.execute(lock_statement())
                    asked = asyncio.create_task(client.start("w", key="k"))
                    await waiting_for_the_lock(log_url)
                    server.process.send_signal(signal.SIGTERM)
                    # Until it is refused, the server takes connections; then it is ending.
                    await asyncio.wait([asked], timeout=0.3)
                    assert not asked.done()
                accepted = await asked
        assert await asyncio.to_thread(server.process.wait, 30) in {0, -signal.SIGTERM}
    assert not accepted.repeated


async def waiting_for_the_lock(url: str) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        async with asyncio.timeout(HANGS):
            while True:
                row = await (await connection.execute(query)).fetchone()
                if row is not None and row[0]:
                    return
