"""The principals of a development server as clients, and waiting for what must come."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Protocol, TypeVar

from placet import Approval, ApprovalStatus, Client, Execution
from tests.support.patience import HANGS

T = TypeVar("T")

"""What only a hang would take."""


class Server(Protocol):
    """A running service: its address, and a token for each principal of development."""

    url: str
    tokens: dict[str, str]


class People:
    """A client for each principal, made when first asked for."""

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self._server = server
        self._stack = stack
        self._clients: dict[str, Client] = {}

    async def get(self, name: str) -> Client:
        if name not in self._clients:
            client = Client(self._server.url, self._server.tokens[name])
            self._clients[name] = await self._stack.enter_async_context(client)
        return self._clients[name]

    async def start(self, workflow: str, given: object = None) -> str:
        """Start an execution as the operator and give its id."""
        operator = await self.get("operator")
        execution = (await operator.start(workflow, given)).execution
        assert execution is not None
        return execution.id

    async def ended(self, execution_id: str, *, after: int = 0) -> Execution:
        """Wait until the execution has ended, past a version."""
        operator = await self.get("operator")

        async def final() -> Execution | None:
            execution = await operator.execution(execution_id)
            assert execution is not None
            return execution if execution.state.final and execution.version > after else None

        return await until(final)

    async def parked(self, execution_id: str) -> str:
        """Wait until the execution is parked, and give the reason."""
        operator = await self.get("operator")

        async def reason() -> str | None:
            execution = await operator.execution(execution_id)
            assert execution is not None
            return execution.parked

        return await until(reason)

    async def pending(self, execution_id: str, count: int = 1) -> list[Approval]:
        """Wait until so many approvals of the execution are pending."""
        operator = await self.get("operator")

        async def asked() -> list[Approval] | None:
            history = await operator.history(execution_id)
            assert history is not None
            found = [a for a in history.approvals if a.status is ApprovalStatus.PENDING]
            return found if len(found) == count else None

        return await until(asked)


async def until(check: Callable[[], Awaitable[T | None]]) -> T:
    """Ask until there is something. Only a hang takes as long as the limit."""
    async with asyncio.timeout(HANGS):
        while True:
            found = await check()
            if found is not None:
                return found
            await asyncio.sleep(0.02)
