"""What a workflow waits for under a key: steps, approvals, timers and children."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from placet._util.serde import Read
from placet.approvals.clearance import Clearance
from placet.engine.step_options import ErrorKinds
from placet.models.commands import RequestApproval, StartChild


@dataclass(eq=False, slots=True, kw_only=True)
class Pending:
    """Base of all of them.

    ``future`` belongs to the workflow's loop. ``known``: the service has recorded the request.
    ``tried``: the number of the last attempt that was recorded.
    """

    kind: ClassVar[str] = ""
    key: str
    future: asyncio.Future[Any] = field(init=False)
    known: bool = False
    tried: int = 0

    @property
    def name(self) -> str:
        """Its name in the record of a failure."""
        return self.kind

    def __str__(self) -> str:
        return f"{self.kind} {self.key!r}"

    @property
    def open(self) -> bool:
        """Whether it is still waited for."""
        return not self.future.done()


@dataclass(eq=False, slots=True, kw_only=True)
class PendingStep(Pending):
    """A step. ``failures`` counts the failed attempts since the last retry.

    ``pause`` and ``timeout`` are in seconds: between the first two attempts, and of each attempt.
    ``final``: kinds of errors that are not tried again.
    """

    kind: ClassVar[str] = "step"
    named: str
    call: Callable[[Executor | None], Awaitable[Any]]
    read: Read
    clearance: Clearance | None = None
    attempts: int = 1
    pause: float = 0.5
    timeout: float | None = None
    final: ErrorKinds = ()
    failures: int = 0
    task: "asyncio.Task[None] | None" = None

    @property
    def name(self) -> str:
        """Its name in the record."""
        return self.named


@dataclass(eq=False, slots=True, kw_only=True)
class PendingApproval(Pending):
    """An approval. ``approval_id`` is set once the service has answered.

    ``told`` is the workflow's future of the id, if it wants to know it.
    """

    kind: ClassVar[str] = "approval"
    request: RequestApproval
    approval_id: str | None = None
    told: asyncio.Future[str] | None = None

    @property
    def untold(self) -> bool:
        """Whether the workflow waits for the id, which is known."""
        return self.told is not None and not self.told.done() and self.approval_id is not None


@dataclass(eq=False, slots=True, kw_only=True)
class PendingTimer(Pending):
    """A timer. One of ``delay`` and ``until`` is given."""

    kind: ClassVar[str] = "timer"
    delay: timedelta | None = None
    until: datetime | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class PendingChild(Pending):
    """A child execution. ``on_any_queue``: the workflow did not name a queue."""

    kind: ClassVar[str] = "child"
    command: StartChild
    read: Read
    on_any_queue: bool = False
