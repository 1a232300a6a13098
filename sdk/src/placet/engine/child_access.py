"""Reaches the children that a workflow has started: finds their ids, and sends commands to them."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from placet.client.mutations import Mutations
from placet.client.queries import Queries
from placet.client.transport.retry import retried
from placet.engine.pending import PendingChild
from placet.errors import Internal, NotFound
from placet.models.commands import Cancellation, SendSignal

PAUSE_SECONDS = 0.02
MAX_PAUSE_SECONDS = 1.0

ToChild = SendSignal | Cancellation
"""What a workflow sends to a child. The id of the child is filled in."""


class ChildAccess(Protocol):
    """The children of executions, as the service knows them."""

    async def id_of(self, parent_id: str, key: str) -> str:
        """Return the id of the latest child under a key, which must be recorded."""

    async def send(self, child_id: str, command: ToChild) -> None:
        """Send a command to a child. Raises Refused."""


class ServiceChildren:
    """Asks the service, and waits while it is away."""

    def __init__(self, queries: Queries, mutations: Mutations) -> None:
        self._queries = queries
        self._mutations = mutations

    async def id_of(self, parent_id: str, key: str) -> str:
        """Return the id of the latest child under a key, which must be recorded."""
        for child in await retried(None, self._queries.children, parent_id):
            if child.key == key:
                return child.execution_id
        msg = f"the service does not know the child {key!r} of execution {parent_id}"
        raise Internal(msg)

    async def send(self, child_id: str, command: ToChild) -> None:
        """Send a command to a child. Raises Refused."""
        if isinstance(command, SendSignal):
            name, payload, key = command.name, command.payload, command.key
            send = partial(self._mutations.signal, child_id, name, payload, key=key)
        else:
            send = partial(self._mutations.cancel, child_id, command.reason)
        await retried(None, send)


async def reach(
    children: ChildAccess,
    pending: PendingChild,
    command: ToChild,
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Send a command to a recorded child, once there is such an execution. Raises Refused."""
    child_id = await children.id_of(pending.command.execution_id, pending.key)
    pause = PAUSE_SECONDS
    while True:
        try:
            await children.send(child_id, command)
        except NotFound:
            # The service starts it after the commit that records it.
            if not pending.open:
                raise
        else:
            return
        await sleep(pause)
        pause = min(pause * 2, MAX_PAUSE_SECONDS)
