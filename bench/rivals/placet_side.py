"""Placet: a server, and clients that start lifecycles and decide."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from importlib.metadata import version
from typing import Self

import psycopg

import placet
from bench.rivals.contender import Workspace
from bench.rivals.worker import Worker
from bench.stack import Stack, stack

GRACE_SECONDS = 0.1
UNFINISHED = tuple(set(placet.ExecutionState) - {placet.ExecutionState.COMPLETED})
_SINCE_LEASE = "SELECT extract(epoch FROM clock_timestamp() - min(expires_at)) FROM worker_leases"


class PlacetSide:
    """Runs a server. An approver's stream reports that a lifecycle waits."""

    worker = "bench.rivals.placet_worker"
    stands_by = True

    def __init__(
        self, workspace: Workspace, server: Stack, clients: Sequence[placet.Client], engine: str
    ) -> None:
        self.server = [server.process.pid]
        self.versions = {"Placet": version("placet-server")}
        self._workspace = workspace
        self._stack = server
        self._operator, self._approver = clients
        self._engine = engine
        self._pending: dict[str, placet.Approval] = {}
        self._position: str | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, workspace: Workspace) -> AsyncIterator[Self]:
        """Start the server, and follow the pending approvals."""
        with stack(workspace.directory, database_url=workspace.database) as server:
            # API keys as in production. The server looks them up, unlike development tokens.
            operator = server.create_token("operator", "OPERATOR")
            approver = server.create_token("approver", "APPROVER", ["finance"])
            engine = server.create_token("engine", "ENGINE")
            async with AsyncExitStack() as opened:
                clients = [
                    await opened.enter_async_context(placet.Client(server.url, token))
                    for token in (operator, approver)
                ]
                side = cls(workspace, server, clients, engine)
                following = asyncio.create_task(side._follow())
                try:
                    yield side
                finally:
                    following.cancel()
                    await asyncio.wait([following])

    def arguments(self) -> Sequence[str]:
        """Return the worker's server, its token and its grace."""
        return [self._stack.url, self._engine, str(GRACE_SECONDS)]

    async def begin(self, lifecycle: str, worker: Worker) -> None:  # noqa: ARG002 - it is assigned
        """Start an execution."""
        await self._operator.start("lifecycle", {"n": 1}, id=lifecycle)

    async def decide(self, lifecycle: str, worker: Worker) -> None:  # noqa: ARG002 - it is told
        """Grant the approval from the stream."""
        accepted = await self._approver.grant(self._pending.pop(lifecycle))
        self._position = str(accepted.position)

    async def unfinished(self) -> int:
        """Count the executions that are not completed, as of the last decision."""
        where = placet.ExecutionFilter(state=UNFINISHED)
        page = await self._operator.executions(where, first=0, count=True, at_least=self._position)
        return page.total_count or 0

    async def since_lease(self) -> float | None:
        """Query the database, by its clock. The dead worker has the oldest lease."""
        async with await psycopg.AsyncConnection.connect(self._workspace.database) as connection:
            row = await (await connection.execute(_SINCE_LEASE)).fetchone()
        assert row is not None
        return float(row[0])

    async def _follow(self) -> None:
        pending = placet.ApprovalFilter(status=[placet.ApprovalStatus.PENDING])
        async with aclosing(self._approver.approvals_stream(pending)) as messages:
            async for message in messages:
                if message.approval is not None:
                    self._pending[message.approval.execution_id] = message.approval
                    self._workspace.waits(message.approval.execution_id)
