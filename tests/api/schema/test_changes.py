import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from domain.execution.state import Execution
from domain.values import Principal
from tests.api.schema_server import Desk
from tests.application.services import Office, complete, step
from tests.domain.people import ANN, AUDREY, ENGINE, NOBODY, OLIVIA, OTHER_ENGINE

AFTER = """query ($id: ID!, $version: Int!, $wait: Duration) {
    executionAfter(id: $id, version: $version, wait: $wait) {
        changed version execution { id version state } } }"""
AT_ONCE = """query ($id: ID!, $version: Int!) {
    executionAfter(id: $id, version: $version) { changed version execution { id } } }"""
UNCHANGED = {"changed": False, "version": 1, "execution": None}
LONG = "PT20S"


def questions(desk: Desk) -> int:
    """Give how often a connection to the database was asked for."""
    return desk.office.pool.get_stats().get("requests_num", 0)


@asynccontextmanager
async def waiting(
    desk: Desk, execution: Execution, by: Principal = OLIVIA, wait: str = LONG
) -> AsyncIterator[asyncio.Task[Any]]:
    """Ask as somebody who then waits for what comes after the execution's version."""
    asking = asyncio.create_task(
        desk.answer(by, AFTER, id=str(execution.id), version=execution.version, wait=wait)
    )
    async with asyncio.timeout(30):
        while execution.id not in desk.office.tail._waiting:
            assert not asking.done(), asking.result()
            await asyncio.sleep(0)
        yield asking
        await asking


async def test_at_the_same_version_nothing_has_changed(desk: Desk) -> None:
    execution = await desk.office.start()
    answer = await desk.ask(AT_ONCE, id=str(execution.id), version=1)
    assert answer == UNCHANGED


@pytest.mark.parametrize("wait", ["PT0S", LONG])
@pytest.mark.parametrize("version", [-1, 0, 1, 3, 9])
async def test_at_another_version_it_is_shown_as_it_stands(
    desk: Desk, version: int, wait: str
) -> None:
    execution = await desk.office.start()
    await desk.office.do(step(execution.id, "book"))
    answer = await desk.ask(AFTER, id=str(execution.id), version=version, wait=wait)
    shown = {"id": str(execution.id), "version": 2, "state": "RUNNING"}
    assert answer == {"changed": True, "version": 2, "execution": shown}


async def test_whoever_may_not_see_it_is_told_nothing(desk: Desk) -> None:
    execution = await desk.office.start()
    for by in (ANN, NOBODY, OTHER_ENGINE):
        assert await desk.ask(AFTER, by, id=str(execution.id), version=1, wait=LONG) is None
    for by in (ENGINE, AUDREY):
        assert await desk.ask(AT_ONCE, by, id=str(execution.id), version=1) == UNCHANGED
    assert await desk.ask(AT_ONCE, id="nonsense", version=1) is None


async def test_whoever_waits_is_told_of_what_happens(desk: Desk) -> None:
    execution, other = await desk.office.start(), await desk.office.start()
    async with waiting(desk, execution) as asking:
        await desk.office.do(step(other.id, "elsewhere"))
        assert not asking.done()
        await desk.office.do(complete(execution.id))
    answer = asking.result().data["executionAfter"]
    assert (answer["version"], answer["execution"]["state"]) == (2, "COMPLETED")


async def test_whoever_waits_is_told_of_what_another_process_records(desk: Desk) -> None:
    execution = await desk.office.start()
    async with Office.open(desk.office.url) as other, waiting(desk, execution) as asking:
        await other.do(complete(execution.id))
    assert asking.result().data["executionAfter"]["version"] == 2


async def test_after_the_time_it_is_unchanged(desk: Desk) -> None:
    execution = await desk.office.start()
    answer = await desk.ask(AFTER, id=str(execution.id), version=1, wait="PT0.05S")
    assert answer == UNCHANGED


async def test_an_ending_server_answers_at_once(desk: Desk) -> None:
    execution = await desk.office.start()
    async with waiting(desk, execution) as asking:
        desk.office.tail.drain()
    assert asking.result().data["executionAfter"] == UNCHANGED
    assert await desk.ask(AFTER, id=str(execution.id), version=1, wait=LONG) == UNCHANGED


async def test_asking_costs_one_read_and_waiting_none(desk: Desk) -> None:
    # These look for themselves every second, which is not what is counted here.
    await desk.office.family.close()
    await desk.office.clock.close()
    await desk.office.dispatcher.close()
    execution, other = await desk.office.start(), await desk.office.start()
    before = questions(desk)
    await desk.ask(AT_ONCE, id=str(execution.id), version=1)
    assert questions(desk) - before == 1

    async with waiting(desk, execution) as asking:
        before = questions(desk)
        for number in range(10):
            await desk.office.do(step(other.id, f"{number}"))
        assert questions(desk) == before
        desk.office.tail.drain()
    assert asking.result().data["executionAfter"] == UNCHANGED
    assert questions(desk) == before


@pytest.mark.parametrize("wait", [LONG, "PT0.05S"])
async def test_a_token_that_ended_meanwhile_is_refused(desk: Desk, wait: str) -> None:
    execution = await desk.office.start()
    async with waiting(desk, execution, wait=wait) as asking:
        desk.revoked.add(OLIVIA.id)
        if wait == LONG:
            await desk.office.do(step(execution.id, "book"))
    [error] = asking.result().errors
    assert error.extensions["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("wait", [LONG, "PT0.05S"])
async def test_who_may_no_longer_see_it_is_told_nothing(desk: Desk, wait: str) -> None:
    execution = await desk.office.start()
    async with waiting(desk, execution, ENGINE, wait) as asking:
        desk.became[ENGINE.id] = OTHER_ENGINE
        if wait == LONG:
            await desk.office.do(step(execution.id, "book"))
    assert asking.result().data == {"executionAfter": None}


@pytest.mark.parametrize("wait", ["PT20.000001S", "P1D", "-PT1S"])
async def test_the_wait_has_bounds(desk: Desk, wait: str) -> None:
    execution = await desk.office.start()
    assert await desk.code(AFTER, id=str(execution.id), version=1, wait=wait) == "LIMIT_EXCEEDED"
