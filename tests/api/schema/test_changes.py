import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.execution.state import Execution
from domain.values import Principal
from tests.api.graphql_client import GraphQLClient
from tests.application.server_process import ServerProcess, complete, step
from tests.domain.people import ANN, AUDREY, ENGINE, NOBODY, OLIVIA, OTHER_ENGINE
from tests.support.patience import HANGS

AFTER = """query ($id: ID!, $version: Int!, $wait: Duration) {
    executionAfter(id: $id, version: $version, wait: $wait) {
        changed version execution { id version state } } }"""
AT_ONCE = """query ($id: ID!, $version: Int!) {
    executionAfter(id: $id, version: $version) { changed version execution { id } } }"""
UNCHANGED = {"changed": False, "version": 1, "execution": None}
LONG = "PT20S"


def questions(client: GraphQLClient) -> int:
    """Return how often a connection to the database was asked for."""
    return client.process.pool.get_stats().get("requests_num", 0)


@asynccontextmanager
async def waiting(
    client: GraphQLClient, execution: Execution, by: Principal = OLIVIA, wait: str = LONG
) -> AsyncIterator[asyncio.Task[Any]]:
    """Ask as somebody who then waits for what comes after the execution's version."""
    asking = asyncio.create_task(
        client.answer(by, AFTER, id=str(execution.id), version=execution.version, wait=wait)
    )
    async with asyncio.timeout(HANGS):
        while execution.id not in client.process.tail._waiting:
            assert not asking.done(), asking.result()
            await asyncio.sleep(0)
        yield asking
        await asking


async def test_at_the_same_version_nothing_has_changed(client: GraphQLClient) -> None:
    execution = await client.process.start()
    answer = await client.ask(AT_ONCE, id=str(execution.id), version=1)
    assert answer == UNCHANGED


@pytest.mark.parametrize("wait", ["PT0S", LONG])
@pytest.mark.parametrize("version", [-1, 0, 1, 3, 9])
async def test_at_another_version_the_current_state_is_returned(
    client: GraphQLClient, version: int, wait: str
) -> None:
    execution = await client.process.start()
    await client.process.do(step(execution.id, "book"))
    answer = await client.ask(AFTER, id=str(execution.id), version=version, wait=wait)
    shown = {"id": str(execution.id), "version": 2, "state": "RUNNING"}
    assert answer == {"changed": True, "version": 2, "execution": shown}


async def test_an_execution_that_the_caller_may_not_see_is_null(client: GraphQLClient) -> None:
    execution = await client.process.start()
    for by in (ANN, NOBODY, OTHER_ENGINE):
        assert await client.ask(AFTER, by, id=str(execution.id), version=1, wait=LONG) is None
    for by in (ENGINE, AUDREY):
        assert await client.ask(AT_ONCE, by, id=str(execution.id), version=1) == UNCHANGED
    assert await client.ask(AT_ONCE, id="nonsense", version=1) is None


async def test_a_waiting_request_is_answered_when_something_happens(client: GraphQLClient) -> None:
    execution, other = await client.process.start(), await client.process.start()
    async with waiting(client, execution) as asking:
        await client.process.do(step(other.id, "elsewhere"))
        assert not asking.done()
        await client.process.do(complete(execution.id))
    answer = asking.result().data["executionAfter"]
    assert (answer["version"], answer["execution"]["state"]) == (2, "COMPLETED")


async def test_a_waiting_request_is_answered_when_another_process_records(
    client: GraphQLClient,
) -> None:
    execution = await client.process.start()
    async with (
        ServerProcess.open(client.process.url) as other,
        waiting(client, execution) as asking,
    ):
        await other.do(complete(execution.id))
    assert asking.result().data["executionAfter"]["version"] == 2


async def test_after_the_timeout_the_state_is_unchanged(client: GraphQLClient) -> None:
    execution = await client.process.start()
    answer = await client.ask(AFTER, id=str(execution.id), version=1, wait="PT0.05S")
    assert answer == UNCHANGED


async def test_an_ending_server_answers_at_once(client: GraphQLClient) -> None:
    execution = await client.process.start()
    async with waiting(client, execution) as asking:
        client.process.tail.drain()
    assert asking.result().data["executionAfter"] == UNCHANGED
    assert await client.ask(AFTER, id=str(execution.id), version=1, wait=LONG) == UNCHANGED


async def test_a_request_makes_one_read_and_waiting_makes_none(client: GraphQLClient) -> None:
    # These look for themselves every second, which is not what is counted here.
    await client.process.children.close()
    await client.process.timers.close()
    await client.process.children.close()
    await client.process.standing_grants.close()
    await client.process.dispatcher.close()
    execution, other = await client.process.start(), await client.process.start()
    before = questions(client)
    await client.ask(AT_ONCE, id=str(execution.id), version=1)
    assert questions(client) - before == 1

    async with waiting(client, execution) as asking:
        before = questions(client)
        for number in range(10):
            await client.process.do(step(other.id, f"{number}"))
        assert questions(client) == before
        client.process.tail.drain()
    assert asking.result().data["executionAfter"] == UNCHANGED
    assert questions(client) == before


@pytest.mark.parametrize("wait", [LONG, "PT0.05S"])
async def test_a_token_that_ended_meanwhile_is_refused(client: GraphQLClient, wait: str) -> None:
    execution = await client.process.start()
    async with waiting(client, execution, wait=wait) as asking:
        client.revoked.add(OLIVIA.id)
        if wait == LONG:
            await client.process.do(step(execution.id, "book"))
    [error] = asking.result().errors
    assert error.extensions["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("wait", [LONG, "PT0.05S"])
async def test_a_caller_who_may_no_longer_see_it_gets_null(
    client: GraphQLClient, wait: str
) -> None:
    execution = await client.process.start()
    async with waiting(client, execution, ENGINE, wait) as asking:
        client.became[ENGINE.id] = OTHER_ENGINE
        if wait == LONG:
            await client.process.do(step(execution.id, "book"))
    assert asking.result().data == {"executionAfter": None}


@pytest.mark.parametrize("wait", ["PT20.000001S", "P1D", "-PT1S"])
async def test_the_wait_has_limits(client: GraphQLClient, wait: str) -> None:
    execution = await client.process.start()
    assert await client.code(AFTER, id=str(execution.id), version=1, wait=wait) == "LIMIT_EXCEEDED"
