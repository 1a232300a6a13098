"""What the workflows and steps of all executions use of their engine: threads, people, children."""

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

from placet.client.mutations import Mutations
from placet.client.queries import Queries
from placet.client.transport.retry import retried
from placet.engine.child_access import ChildAccess, ServiceChildren
from placet.models.enums import ApprovalStatus


class EngineAccess(Protocol):
    """What the workflows and steps of all executions use of their engine."""

    @property
    def threads(self) -> Executor | None:
        """Where steps run that may block."""

    def place(self, *, in_thread: bool) -> AbstractAsyncContextManager[Any]:
        """Return where a step waits until it may be done beside the others of its engine."""

    @property
    def children(self) -> ChildAccess:
        """The children of executions."""

    def address_of(self, approval_id: str) -> str:
        """Return the address at which people find an approval."""

    async def status_of(self, approval_id: str) -> ApprovalStatus | None:
        """Return the present status of an approval, None if the service has no such one."""

    async def sleep(self, seconds: float) -> None:
        """Pause between two attempts."""

    @property
    def now(self) -> datetime:
        """The time."""


class ServiceAccess:
    """The threads of one engine, and what the service knows.

    ``capacity``: how many steps are done at once in threads, and how many async ones.
    """

    def __init__(
        self, queries: Queries, mutations: Mutations, public_url: str, capacity: int
    ) -> None:
        self.threads = ThreadPoolExecutor(capacity, "placet-step")
        self.children: ChildAccess = ServiceChildren(queries, mutations)
        # A step in a thread can end an async step that waits for it, and the other way round.
        self._thread_places = asyncio.Semaphore(capacity)
        self._loop_places = asyncio.Semaphore(capacity)
        self._queries = queries
        self._public_url = public_url

    def place(self, *, in_thread: bool) -> asyncio.Semaphore:
        """Return where a step waits until it may be done beside the others."""
        return self._thread_places if in_thread else self._loop_places

    def address_of(self, approval_id: str) -> str:
        """Return the address at which people find an approval."""
        return f"{self._public_url}/approvals/{approval_id}"

    async def status_of(self, approval_id: str) -> ApprovalStatus | None:
        """Return the present status of an approval, None if the service has no such one."""
        approval = await retried(None, self._queries.approval, approval_id)
        return None if approval is None else approval.status

    async def sleep(self, seconds: float) -> None:
        """Pause between two attempts of a step."""
        await asyncio.sleep(seconds)

    @property
    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)
