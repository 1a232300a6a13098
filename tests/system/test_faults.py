"""Killing, stopping or disconnecting a process under load loses nothing acknowledged."""

import asyncio
import signal
import time
from contextlib import suppress
from uuid import UUID

import httpx
import psutil
import psycopg
import pytest

import placet
from bench.stack import Stack
from domain.values import ExecutionState
from tests.api.positions import number
from tests.support.patience import HANGS
from tests.support.postgres import Postgres
from tests.system.audit import assert_sound, commands_recorded, folded
from tests.system.conftest import Opened
from tests.system.load import Load, caught_up


def assert_kept(url: str, load: Load) -> None:
    """Every acknowledged command is in the log once, and every lifecycle came to its end."""
    states = folded(url)
    assert load.started <= states.keys()
    for id_ in load.completed:
        assert states[id_].state is ExecutionState.COMPLETED
        # Start, step, request, grant with Resumed, redemption, completion: none of them twice.
        assert states[id_].version == 7
    for events in commands_recorded(url).values():
        assert len({id_ for id_, _ in events}) == 1


async def test_a_killed_server_loses_nothing(open_server: Opened, database: str, port: int) -> None:
    server = open_server(port)
    async with Load(server) as load:
        for goal in (20, 40, 60):
            await load.reach(goal)
            server.kill9()
            server = open_server(port)
        await load.reach(80)
        await load.stop()
        await caught_up(server, database)
    assert_kept(database, load)
    assert_sound(database)


async def test_a_killed_postgres_loses_nothing(
    open_server: Opened, database: str, postgres: Postgres
) -> None:
    server = open_server()
    async with Load(server) as load:
        for goal in (20, 40):
            await load.reach(goal)
            postgres.kill9()
            postgres.start()
        await load.reach(60)
        await load.stop()
        await caught_up(server, database)
    assert_kept(database, load)
    assert_sound(database)


async def test_a_subscriber_goes_on_from_where_it_was(
    open_server: Opened, database: str, port: int
) -> None:
    server = open_server(port)
    seen: list[int] = []

    async def follow() -> None:
        async with placet.Client(server.url, server.tokens["auditor"]) as auditor:
            async for message in auditor.events_stream(after="0"):
                seen.extend([number(message.event.position)] if message.event else [])

    following = asyncio.create_task(follow())
    async with Load(server) as load:
        for goal in (15, 30):
            await load.reach(goal)
            server.kill9()
            server = open_server(port)
        await load.reach(45)
        await load.stop()
    with psycopg.connect(database) as connection:
        positions = [
            position
            for (position,) in connection.execute(
                "SELECT notification_id FROM execution_events ORDER BY 1"
            )
        ]
    async with asyncio.timeout(HANGS):
        while len(seen) < len(positions):
            assert not following.done()
            await asyncio.sleep(0.01)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    assert seen == positions


async def test_a_stopped_process_does_not_stop_the_others(
    open_server: Opened, database: str
) -> None:
    stopped, other = open_server(), open_server()
    async with Load(stopped, other) as load:
        for goal in (20, 60, 100):
            await load.reach(goal)
            stopped.process.send_signal(signal.SIGSTOP)
            try:
                async with placet.Client(other.url, other.tokens["operator"]) as operator:
                    # Its transaction is ended after three seconds.
                    async with asyncio.timeout(HANGS):
                        await operator.start("while-the-other-is-stopped")
            finally:
                stopped.process.send_signal(signal.SIGCONT)
        await load.stop()
        await caught_up(other, database)
    assert_kept(database, load)
    assert_sound(database)


async def test_without_a_database_the_server_is_unavailable_until_it_returns(
    open_server: Opened, database: str, postgres: Postgres
) -> None:
    server = open_server()
    operator_token = server.tokens["operator"]
    async with (
        placet.Client(server.url, operator_token, retry_for=0) as hasty,
        placet.Client(server.url, operator_token, retry_for=60) as patient,
    ):
        first = await patient.start("before")
        assert first.execution is not None
        postgres.kill9()
        away_until = time.monotonic() + 10
        waiting = asyncio.create_task(patient.start("during"))
        while time.monotonic() < away_until:
            async with asyncio.timeout(HANGS):
                with pytest.raises((placet.errors.Unavailable, placet.Refused)):
                    await hasty.start("during")
                with pytest.raises(placet.errors.Unavailable):
                    await hasty.executions()
        postgres.start()
        async with asyncio.timeout(HANGS):
            await waiting
            await patient.start("after")
            assert (await patient.execution(first.execution.id)) is not None
            await caught_up(server, database)
    assert_sound(database)
    assert len([s for s in folded(database).values() if s.workflow == "after"]) == 1


async def test_two_people_decide_at_once_through_two_servers(open_server: Opened) -> None:
    one, two = open_server(), open_server()
    async with (
        placet.Client(one.url, one.tokens["operator"]) as operator,
        placet.Client(one.url, one.tokens["engine"]) as engine,
        placet.Client(one.url, one.tokens["approver-a"]) as first,
        placet.Client(two.url, two.tokens["approver-b"]) as second,
    ):
        for _ in range(10):
            started = await operator.start("race")
            assert started.execution is not None
            asked = await engine.request_approval(
                started.execution.id,
                "go",
                "Go?",
                payload={},
                policy=placet.require(1, group="finance"),
            )
            assert asked.approval is not None
            results = await asyncio.gather(
                first.grant(asked.approval),
                second.reject(asked.approval, comment="no"),
                return_exceptions=True,
            )
            [lost] = [result for result in results if isinstance(result, placet.Refused)]
            [won] = [result for result in results if isinstance(result, placet.Accepted)]
            assert lost.code == "ALREADY_DECIDED"
            # The loser sees who decided.
            assert lost.approval is not None
            assert won.approval is not None
            assert [d.by for d in lost.approval.decisions] == [d.by for d in won.approval.decisions]


async def test_sigterm_drains_and_ends_with_zero(open_server: Opened, database: str) -> None:
    server = open_server()
    children = psutil.Process(server.process.pid).children(recursive=True)
    async with placet.Client(server.url, server.tokens["operator"], retry_for=0) as operator:

        async def one(number: int) -> UUID | None:
            try:
                accepted = await operator.start("drained", {"n": number})
            except placet.PlacetError:
                return None
            assert accepted.execution is not None
            return UUID(accepted.execution.id)

        starts = [asyncio.create_task(one(number)) for number in range(200)]
        await asyncio.wait(starts, return_when=asyncio.FIRST_COMPLETED)
        server.process.terminate()
        acknowledged = {id_ for id_ in await asyncio.gather(*starts) if id_ is not None}
    assert await asyncio.to_thread(server.process.wait, 30) == 0
    assert acknowledged
    assert acknowledged <= folded(database).keys()
    assert not any(child.is_running() for child in children)


async def test_sigterm_answers_waiting_requests(open_server: Opened) -> None:
    server = open_server()
    question = """query ($id: ID!, $version: Int!) {
        executionAfter(id: $id, version: $version, wait: "PT20S") { changed } }"""
    async with (
        placet.Client(server.url, server.tokens["operator"]) as operator,
        httpx.AsyncClient(timeout=60) as http,
    ):
        started = (await operator.start("waited-for")).execution
        assert started is not None

        async def ask(version: int) -> httpx.Response:
            variables = {"id": started.id, "version": version}
            return await http.post(
                f"{server.url}/graphql",
                json={"query": question, "variables": variables},
                headers={"Authorization": f"Bearer {server.tokens['operator']}"},
            )

        # On connections that are open, one that is answered at once, and was sent after those
        # that wait, shows that they have come.
        await asyncio.gather(*(ask(0) for _ in range(6)))
        *waiting, last = [asyncio.create_task(ask(version)) for version in (1, 1, 1, 1, 1, 0)]
        await last
        server.process.terminate()
        answers = await asyncio.gather(*waiting)
    assert [answer.json() for answer in answers] == [
        {"data": {"executionAfter": {"changed": False}}}
    ] * 5
    assert await asyncio.to_thread(server.process.wait, 30) == 0


def test_the_ready_line_is_the_only_one(open_server: Opened) -> None:
    server: Stack = open_server()
    server.process.terminate()
    assert server.process.stdout is not None
    assert server.process.stdout.read() == ""
