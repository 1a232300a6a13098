"""Load that records what was sent and what was acknowledged."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Self
from uuid import UUID, uuid4

import psycopg

import placet
from bench.stack import Stack

WORKERS = 8
RETRY_FOR = 60.0


class Load:
    """Runs lifecycles against servers until it is stopped, over whatever happens to them.

    ``started`` holds the executions whose start was acknowledged.
    """

    def __init__(self, *servers: Stack) -> None:
        self._servers = servers
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self.started: set[UUID] = set()
        self.completed: set[UUID] = set()

    async def __aenter__(self) -> Self:
        for number in range(WORKERS):
            server = self._servers[number % len(self._servers)]
            clients = [
                await self._stack.enter_async_context(
                    placet.Client(server.url, server.tokens[name], retry_for=RETRY_FOR)
                )
                for name in ("operator", "engine", "approver-b")
            ]
            self._tasks.append(asyncio.create_task(self._run(*clients)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def reach(self, number: int) -> None:
        """Wait until so many lifecycles have come to their end."""
        await self._until(lambda: len(self.completed) >= number)

    async def stop(self) -> None:
        """Let every lifecycle that has begun come to its end. Raises what went wrong."""
        self._stopping.set()
        async with asyncio.timeout(RETRY_FOR):
            await asyncio.gather(*self._tasks)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(RETRY_FOR):
            while not condition():
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.005)

    async def _run(
        self, operator: placet.Client, engine: placet.Client, approver: placet.Client
    ) -> None:
        while not self._stopping.is_set():
            await self._lifecycle(operator, engine, approver)

    async def _lifecycle(
        self, operator: placet.Client, engine: placet.Client, approver: placet.Client
    ) -> None:
        id_ = str(uuid4())
        await operator.start("load", {"n": 1}, id=id_)
        self.started.add(UUID(id_))
        await engine.record_step(id_, "one", result={"ok": True})
        asked = await engine.request_approval(
            id_, "go", "Go on?", payload={"n": 2}, policy=placet.require(1, group="finance")
        )
        assert asked.approval is not None
        await approver.grant(asked.approval)
        await engine.redeem(asked.approval.id, {"n": 2}, "use")
        await engine.complete(id_, "done")
        self.completed.add(UUID(id_))


async def caught_up(server: Stack, url: str) -> None:
    """Wait until the read models of a server have reached the end of the log, as it is now."""
    with psycopg.connect(url) as connection:
        [(position,)] = connection.execute(
            "SELECT max(notification_id) FROM execution_events"
        ).fetchall()
    async with placet.Client(server.url, server.tokens["auditor"], retry_for=RETRY_FOR) as auditor:
        for _ in range(10):
            with suppress(placet.errors.ReadModelBehind):
                await auditor.executions(first=1, at_least=str(position))
                await auditor.approvals(first=1, at_least=str(position))
                return
    raise AssertionError("the read models do not catch up")
