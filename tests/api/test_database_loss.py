"""What clients and operators notice of a database that goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from api import database_monitor
from api.database import lost
from api.database_monitor import ANSWER_WITHIN, NO_ANSWER
from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.support.patience import HANGS
from tests.support.postgres import Postgres

# A health check waits a second.
assert ANSWER_WITHIN < 1

PAGE = {"query": "{ executions { totalCount } viewer { id } }"}


@pytest.fixture
async def whole_server(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WholeServer]:
    # A database that refuses connections is noticed at once, and one that is slow is not away.
    monkeypatch.setattr(database_monitor, "ANSWER_WITHIN", HANGS)
    monkeypatch.setattr(database_monitor, "LOOK_EVERY", 0.1)
    async with WholeServer.open(postgres.create()) as whole_server:
        yield whole_server


async def ready(whole_server: WholeServer) -> tuple[int, Any]:
    response = await whole_server.http.get("/readyz")
    return response.status_code, response.json().get("reason")


async def test_readiness_tells_soon_that_the_database_is_away_and_nothing_of_it(
    whole_server: WholeServer, postgres: Postgres
) -> None:
    assert await ready(whole_server) == (200, None)
    postgres.kill9()
    for _ in range(3):
        async with asyncio.timeout(HANGS):
            assert await ready(whole_server) == (503, NO_ANSWER)
    postgres.start()
    async with asyncio.timeout(HANGS):
        while await ready(whole_server) != (200, None):
            await asyncio.sleep(0.05)


async def test_a_database_that_hangs_is_not_waited_for(
    whole_server: WholeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The look with which the server began is over.
    assert await ready(whole_server) == (200, None)
    monkeypatch.setattr(database_monitor, "ANSWER_WITHIN", ANSWER_WITHIN)
    with psycopg.connect(whole_server.url) as connection:
        connection.execute("LOCK TABLE execution_events")
        async with asyncio.timeout(HANGS):
            assert await ready(whole_server) == (503, NO_ANSWER)


async def test_loss_and_recovery_are_logged_once_each_with_the_duration(
    whole_server: WholeServer, postgres: Postgres
) -> None:
    with capture_logs() as lines:
        postgres.kill9()
        await asyncio.sleep(1.2)
        assert (await ready(whole_server))[0] == 503
        postgres.start()
        async with asyncio.timeout(HANGS):
            while (await ready(whole_server))[0] != 200:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
    said = [line for line in lines if line["log_level"] not in {"debug", "info"}]
    names = [line["event"] for line in said if line["event"] != "leadership_lost"]
    assert names == ["database_lost", "database_back"]
    [back] = [line for line in said if line["event"] == "database_back"]
    assert back["seconds"] > 1


async def test_no_read_fails_after_the_database_was_restarted(
    whole_server: WholeServer, postgres: Postgres
) -> None:
    for token in ("olivia", await whole_server.keys.create("key", roles=[Role.AUDITOR])):
        await asyncio.gather(*(whole_server.post(PAGE, token) for _ in range(8)))
    postgres.kill9()
    postgres.start()
    async with asyncio.timeout(HANGS):
        while (await ready(whole_server))[0] != 200:
            await asyncio.sleep(0.01)
    answers = await asyncio.gather(*(whole_server.post(PAGE) for _ in range(72)))
    assert [answer.json() for answer in answers if "errors" in answer.json()] == []


async def test_a_read_whose_connection_breaks_meanwhile_is_tried_once_more(
    whole_server: WholeServer,
) -> None:
    waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'relation'"
    with psycopg.connect(whole_server.url, autocommit=True) as other:
        with psycopg.connect(whole_server.url) as holder:
            holder.execute("LOCK TABLE executions")
            reading = asyncio.create_task(whole_server.post(PAGE))
            async with asyncio.timeout(HANGS):
                while not other.execute(waiting).fetchall():
                    await asyncio.sleep(0.02)
        assert "errors" not in (await reading).json()


def test_only_a_lost_connection_is_a_reason_to_read_again() -> None:
    assert lost(psycopg.OperationalError("the server closed the connection unexpectedly"))
    assert lost(psycopg.errors.AdminShutdown())
    assert not lost(psycopg.errors.QueryCanceled())
    assert not lost(psycopg.errors.DiskFull())
    assert not lost(ValueError())
