"""One worker's open stream: the messages to it, and what it holds as far as they told."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog

from application.event_store.recorded import LoggedEvent
from application.workers.leases import Grant
from domain.execution.state import Execution
from domain.values import Principal

_log = structlog.get_logger(__name__)

MAILBOX = 10_000


class Claim(msgspec.Struct, frozen=True):
    """Held by this worker: newly claimed, or already when the stream was opened."""

    grant: Grant


class Resolved(msgspec.Struct, frozen=True):
    """An approval of an execution held was resolved by ``event``. ``ordinal`` names it."""

    event: LoggedEvent
    execution: Execution
    ordinal: int


class Happened(msgspec.Struct, frozen=True):
    """A timer of an execution held fired, a signal came for it, or a child of it ended."""

    event: LoggedEvent


class Ended(msgspec.Struct, frozen=True):
    """An execution held was ended by someone else."""

    execution_id: UUID


class Lost(msgspec.Struct, frozen=True):
    """An execution held is another's now."""

    execution_id: UUID


Message = Claim | Resolved | Happened | Ended | Lost


class Held(NamedTuple):
    """``busy``: it needs the worker now, and so counts to the capacity."""

    fence: int
    busy: bool


class WorkerStream:
    """One open subscription, with what its worker holds."""

    def __init__(
        self,
        id_: UUID,
        principal: Principal,
        worker: str,
        queues: Sequence[str],
        capacity: int,
        lease: timedelta,
        expires_at: datetime,
        holders: dict[UUID, "WorkerStream"],
    ) -> None:
        self._holders = holders
        self.id = id_
        self.principal = principal
        self.worker = worker
        self.queues = frozenset(queues)
        self.capacity = capacity
        self.lease = lease
        self.expires_at = expires_at
        self.held: dict[UUID, Held] = {}
        self.busy = 0
        self.closed = False
        self.mailbox: asyncio.Queue[Message | None] = asyncio.Queue()

    @property
    def key(self) -> tuple[str, str]:
        """Whose it is: the owner and the worker."""
        return self.principal.id, self.worker

    @property
    def room(self) -> int:
        """How many more executions that need it now the worker takes."""
        return max(self.capacity - self.busy, 0)

    def send(self, message: Message) -> None:
        """Put a message into the mailbox; one that overflows ends the stream."""
        if self.mailbox.qsize() >= MAILBOX:
            # Whoever reads this slowly is better served by what stands when it comes back.
            _log.warning("assignments_too_slow", worker=self.worker)
            self.close()
        elif not self.closed:
            self.mailbox.put_nowait(message)

    def close(self) -> None:
        """Let the stream end after what is in the mailbox."""
        if not self.closed:
            self.closed = True
            self.mailbox.put_nowait(None)

    def keep(self, execution: Execution) -> None:
        """Note that it is held, and whether it needs the worker now."""
        busy = execution.workable
        before = self.held.get(execution.id)
        self.busy += busy - (before is not None and before.busy)
        self.held[execution.id] = Held(execution.fence, busy)
        self._holders[execution.id] = self

    def drop(self, execution_id: UUID) -> bool:
        """Forget it; False if it was not held."""
        held = self.held.pop(execution_id, None)
        if held is None:
            return False
        self.busy -= held.busy
        self._forget(execution_id)
        return True

    def remove_holds(self) -> None:
        """Let nothing be told to it any more."""
        for execution_id in self.held:
            self._forget(execution_id)

    def _forget(self, execution_id: UUID) -> None:
        if self._holders.get(execution_id) is self:
            del self._holders[execution_id]

    def claim(self, execution: Execution) -> None:
        """Tell the worker that it holds this, if it has not been told of this very claim."""
        before = self.held.get(execution.id)
        if before is not None and before.fence > execution.fence:
            return
        self.keep(execution)
        if before is None or before.fence != execution.fence:
            self.send(Claim(Grant(execution, execution.fence, self.expires_at)))
