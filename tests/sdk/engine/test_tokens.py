"""A token that ends while an engine works: what was done is recorded with the next one."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from bench.stack import Stack
from placet import Client, Engine, ExecutionState, Run, errors, require
from placet.models.rules import MIN_LEASE
from tests.sdk.engines import started
from tests.sdk.people import People, until


class Keys:
    """The API keys of one owner, of which a new one is created before the old one is revoked."""

    def __init__(self, server: Stack) -> None:
        self._server = server
        self._owner = f"engine-{uuid4()}"
        self._names: list[str] = []
        self.token = ""
        self.asked = 0

    async def create(self) -> None:
        self._names.append(f"{self._owner}-{len(self._names)}")
        self.token = await asyncio.to_thread(
            self._server.create_token, self._names[-1], "ENGINE", owner=self._owner
        )

    async def revoke(self, number: int, token: str) -> None:
        """Revoke a key, and wait until the server refuses it."""
        await asyncio.to_thread(self._server.revoke_token, self._names[number])

        async def refused() -> bool | None:
            try:
                await client.viewer()
            except errors.Unauthenticated:
                return True
            return None

        async with Client(self._server.url, token) as client:
            await until(refused)

    def given(self) -> str:
        self.asked += 1
        return self.token


class Works:
    """Workflows whose steps are under way until the test lets them end."""

    def __init__(self, server: Stack, token: str | Callable[[], str], lease: timedelta) -> None:
        self.begun, self.go = 0, asyncio.Event()
        self.engine = Engine(server.url, token=token, queues=[f"queue-{uuid4()}"], lease=lease)
        self.engine.workflow(self.long)

    async def long(self, run: Run) -> object:
        first = await run.step(self.work, 1)
        clearance = await run.approval("Go on?", payload=first, policy=require(1, group="finance"))
        return await run.step(self.work, 2, clearance=clearance)

    async def work(self, number: int) -> int:
        self.begun += 1
        await self.go.wait()
        return number

    async def under_way(self, count: int) -> None:
        async def enough() -> bool | None:
            return self.begun == count or None

        await until(enough)


async def test_steps_under_way_are_recorded_with_the_next_token(
    server: Stack, people: People
) -> None:
    keys = Keys(server)
    await keys.create()
    old = keys.token
    works = Works(server, keys.given, timedelta(seconds=30))
    async with works.engine:
        ids = [await started(people, works.engine, "long") for _ in range(3)]
        await works.under_way(3)
        await keys.create()
        await keys.revoke(0, old)
        works.go.set()
        approver = await people.get("approver-a")
        for execution_id in ids:
            [approval] = await people.pending(execution_id)
            await approver.grant(approval)
        ended = [await people.ended(execution_id) for execution_id in ids]
    assert [(each.state, each.result) for each in ended] == [(ExecutionState.COMPLETED, 2)] * 3
    assert works.begun == 6
    assert keys.asked == 2


async def test_without_another_token_the_engine_ends_when_the_lease_is_over(
    server: Stack, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys(server)
    await keys.create()
    works = Works(server, keys.token, MIN_LEASE)
    serving = asyncio.create_task(works.engine.serve())
    await started(people, works.engine, "long")
    await works.under_way(1)
    with caplog.at_level(logging.WARNING, "placet.engine"):
        await keys.revoke(0, keys.token)
        works.go.set()
        with pytest.raises(errors.Unauthenticated, match="token= also takes a function"):
            await serving
    assert "is kept and sent again for" in caplog.text
    assert "are not recorded, because the token is refused" in caplog.text
    assert works.begun == 1


async def test_an_engine_that_is_refused_from_the_start_ends_at_once(server: Stack) -> None:
    with pytest.raises(errors.Unauthenticated, match="pass a valid token"):
        await Engine(server.url, token="nonsense", queues=[f"queue-{uuid4()}"]).serve()


async def test_a_function_is_asked_until_the_lease_is_over(server: Stack) -> None:
    given = ["early", "early", server.tokens["engine"]]

    def token() -> str:
        return given.pop(0) if len(given) > 1 else given[0]

    async with Engine(server.url, token=token, queues=[f"queue-{uuid4()}"]) as engine:
        await until(lambda: works(engine))
    engine = Engine(server.url, token=lambda: "early", queues=["q"], lease=MIN_LEASE)
    with pytest.raises(errors.Unauthenticated, match="gave no other"):
        await engine.serve()


async def works(engine: Engine) -> bool | None:
    """Whether the engine's stream is open."""
    return engine.client.socket.connection is not None or None
