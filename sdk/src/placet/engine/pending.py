"""What a workflow has asked for under a key, and waits for."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from placet._util.serde import Read
from placet.approvals.clearance import Clearance
from placet.models.commands import RequestApproval, StartChild


@dataclass(eq=False, slots=True, kw_only=True)
class Pending:
    """``future`` belongs to the workflow's loop. ``known``: it stands in the record already.

    ``tried`` is the number of the last attempt that was recorded.
    """

    kind: ClassVar[str] = ""
    key: str
    future: asyncio.Future[Any] = field(init=False)
    known: bool = False
    tried: int = 0

    @property
    def name(self) -> str:
        """What the record of a failure calls it."""
        return self.kind

    def __str__(self) -> str:
        return f"{self.kind} {self.key!r}"

    @property
    def open(self) -> bool:
        """Whether it is still waited for."""
        return not self.future.done()


@dataclass(eq=False, slots=True, kw_only=True)
class PendingStep(Pending):
    """``failures`` counts attempts since the last retry.

    ``pause`` and ``timeout`` are in seconds: between the first two attempts, and for each.
    """

    kind: ClassVar[str] = "step"
    named: str
    call: Callable[[Executor | None], Awaitable[Any]]
    read: Read
    clearance: Clearance | None = None
    attempts: int = 1
    pause: float = 0.5
    timeout: float | None = None
    failures: int = 0
    task: "asyncio.Task[None] | None" = None

    @property
    def name(self) -> str:
        """What the record calls it."""
        return self.named


@dataclass(eq=False, slots=True, kw_only=True)
class PendingApproval(Pending):
    """``approval_id`` is there once the service has answered."""

    kind: ClassVar[str] = "approval"
    request: RequestApproval
    approval_id: str | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class PendingTimer(Pending):
    """One of ``delay`` and ``until`` is given."""

    kind: ClassVar[str] = "timer"
    delay: timedelta | None = None
    until: datetime | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class PendingChild(Pending):
    """A child execution to be started. ``on_any_queue``: the workflow did not say on which."""

    kind: ClassVar[str] = "child"
    command: StartChild
    read: Read
    on_any_queue: bool = False
