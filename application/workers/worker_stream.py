"""The open stream of one worker: its messages, and the executions that they reported as held."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog

from application.event_store.chained_events import LoggedEvent
from application.workers.known_workflows import Candidate, KnownWorkflows
from application.workers.leases import Grant
from domain.execution.state import Execution
from domain.values import Principal

_log = structlog.get_logger(__name__)

MAILBOX = 10_000


class Claim(msgspec.Struct, frozen=True):
    """This worker holds an execution, by a new claim or from before the stream was opened."""

    grant: Grant


class Resolved(msgspec.Struct, frozen=True):
    """An approval of a held execution was resolved by ``event``. ``ordinal`` is the approval's."""

    event: LoggedEvent
    execution: Execution
    ordinal: int


class Happened(msgspec.Struct, frozen=True):
    """A held execution was woken: a timer fired, a signal came, or a child ended."""

    event: LoggedEvent


class Ended(msgspec.Struct, frozen=True):
    """A held execution was ended by somebody else."""

    execution_id: UUID


class Lost(msgspec.Struct, frozen=True):
    """A held execution was claimed by another worker."""

    execution_id: UUID


class Stopped(msgspec.Struct, frozen=True):
    """A held execution was parked by somebody else. The worker no longer holds it."""

    execution_id: UUID


Message = Claim | Resolved | Happened | Ended | Lost | Stopped


class Held(NamedTuple):
    """A hold. ``busy``: the execution can make progress, so it counts towards the capacity."""

    fence: int
    busy: bool


class WorkerStream:
    """One open subscription, with the executions that its worker holds."""

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
        known: KnownWorkflows | None = None,
    ) -> None:
        self._holders = holders
        self.id = id_
        self.principal = principal
        self.worker = worker
        self.queues = frozenset(queues)
        self.known = known
        self.capacity = capacity
        self.lease = lease
        self.expires_at = expires_at
        self.held: dict[UUID, Held] = {}
        self.busy = 0
        self.closed = False
        self.mailbox: asyncio.Queue[Message | None] = asyncio.Queue()

    @property
    def key(self) -> tuple[str, str]:
        """The owner and the name of the worker."""
        return self.principal.id, self.worker

    @property
    def room(self) -> int:
        """How many more busy executions the worker can take."""
        return max(self.capacity - self.busy, 0)

    def takes(self, candidate: Candidate) -> bool:
        """Whether the worker works on the execution's queue and knows its workflow."""
        knows = self.known is None or self.known.knows(candidate)
        return knows and candidate.queue in self.queues

    def send(self, message: Message) -> None:
        """Put a message into the mailbox. If the mailbox is full, the stream is closed."""
        if self.mailbox.qsize() >= MAILBOX:
            # When the worker reconnects, it gets the current states instead of old messages.
            _log.warning("assignments_too_slow", worker=self.worker)
            self.close()
        elif not self.closed:
            self.mailbox.put_nowait(message)

    async def messages(self, limit: int) -> list[Message | None]:
        """Wait for a message, and return it with those after it, so many at most. None: the end."""
        messages = [await self.mailbox.get()]
        while len(messages) < limit and not self.mailbox.empty():
            messages.append(self.mailbox.get_nowait())
        return messages

    def close(self) -> None:
        """Let the stream end after the messages in the mailbox."""
        if not self.closed:
            self.closed = True
            self.mailbox.put_nowait(None)

    def keep(self, execution: Execution) -> None:
        """Note that the worker holds an execution, and whether the execution is busy."""
        busy = execution.workable
        before = self.held.get(execution.id)
        self.busy += busy - (before is not None and before.busy)
        self.held[execution.id] = Held(execution.fence, busy)
        self._holders[execution.id] = self

    def drop(self, execution_id: UUID) -> bool:
        """Remove a hold. False if the execution was not held."""
        held = self.held.pop(execution_id, None)
        if held is None:
            return False
        self.busy -= held.busy
        self._forget(execution_id)
        return True

    def remove_holds(self) -> None:
        """Remove all holds from the dispatcher's table, so that events no longer come here."""
        for execution_id in self.held:
            self._forget(execution_id)

    def _forget(self, execution_id: UUID) -> None:
        if self._holders.get(execution_id) is self:
            del self._holders[execution_id]

    def claim(self, execution: Execution) -> None:
        """Send a claim to the worker, unless it was sent before."""
        before = self.held.get(execution.id)
        if before is not None and before.fence > execution.fence:
            return
        self.keep(execution)
        if before is None or before.fence != execution.fence:
            self.send(Claim(Grant(execution, execution.fence, self.expires_at)))
