"""A deactivated person's tokens, keys, sessions and streams end, and only theirs."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from application.directory import Directory, KnownPerson
from domain.authorization import COMMAND_LINE
from domain.directory.state import PersonSource
from domain.values import Role
from tests.api.whole_server import START, WholeServer
from tests.application.server_process import accepted
from tests.console.console_client import ConsoleClient
from tests.support.patience import HANGS

VIEWER = {"query": "{ viewer { id } }"}
EVENTS = "subscription { events { event { type } } }"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(HANGS):
        while not await condition():
            await asyncio.sleep(0.05)


@pytest.fixture
async def directory(whole_server: WholeServer) -> Directory:
    directory = whole_server.directory
    for name in ("ann", "olivia"):
        person = KnownPerson(id=name, source=PersonSource.ADMIN)
        accepted(await directory.record(COMMAND_LINE, person))
    return directory


async def test_all_tokens_of_a_deactivated_person_end_and_come_back(
    whole_server: WholeServer, directory: Directory
) -> None:
    key = await whole_server.keys.create("laptop", owner="ann", roles=[Role.APPROVER])

    async def answers(token: str, status: int) -> bool:
        return (await whole_server.post(VIEWER, token)).status_code == status

    assert await answers("ann", 200)
    assert await answers(key, 200)
    accepted(await directory.deactivate(COMMAND_LINE, "ann", "She has left"))
    await until(lambda: answers("ann", 401))
    await until(lambda: answers(key, 401))
    assert await answers("olivia", 200)
    accepted(await directory.reactivate(COMMAND_LINE, "ann"))
    await until(lambda: answers("ann", 200))
    assert await answers(key, 200)


async def test_another_spelling_of_a_deactivated_person_is_deactivated_too(
    whole_server: WholeServer, directory: Directory
) -> None:
    key = await whole_server.keys.create("laptop", owner="ANN", roles=[Role.APPROVER])
    async with ConsoleClient.open(whole_server) as console:
        answer = await console.post("/sign-in", token=key)
        assert (await console.get(answer.headers["location"])).status_code == 303
        assert (await console.get("/inbox")).status_code == 200
        accepted(await directory.deactivate(COMMAND_LINE, "ann"))

        async def out() -> bool:
            page = (await console.get("/inbox")).status_code
            return (page, (await whole_server.post(VIEWER, key)).status_code) == (401, 401)

        await until(out)


async def test_the_streams_of_a_deactivated_person_end_at_the_next_delivery(
    whole_server: WholeServer, directory: Directory
) -> None:
    async with whole_server.socket("olivia") as socket:
        await socket.send("subscribe", id="1", payload={"query": EVENTS})
        assert (await socket.receive())["type"] == "next"
        accepted(await directory.deactivate(COMMAND_LINE, "olivia"))

        async def refused() -> bool:
            return (await whole_server.post(VIEWER, "olivia")).status_code == 401

        await until(refused)
        start = {"query": START, "variables": {"input": {"workflow": "w"}}}
        await whole_server.post(start, "engine")
        async with asyncio.timeout(HANGS):
            while (message := await socket.receive())["type"] == "next":
                assert "Started" not in str(message)
        assert message["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
