"""What a workflow waits for under a key: steps, approvals, timers and children."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from placet._util.canonical_json import digest
from placet._util.serde import Read, as_it_is
from placet.approvals.clearance import Clearance
from placet.engine.step_options import ErrorKinds
from placet.models.commands import RequestApproval, StartChild


class Told(NamedTuple):
    """What a workflow is told of an approval or child. ``address``: where people find it."""

    id: str
    address: str | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class Pending:
    """Base of all of them.

    ``future`` belongs to the workflow's loop. ``known``: the service has recorded the request.
    ``tried``: the number of the last attempt that was recorded. ``told`` is the workflow's future
    of the id that the service gave, if it wants to know it.
    """

    kind: ClassVar[str] = ""
    key: str
    future: asyncio.Future[Any] = field(init=False)
    known: bool = False
    tried: int = 0
    told: asyncio.Future[Told] | None = None

    @property
    def name(self) -> str:
        """Its name in the record of a failure."""
        return self.kind

    @property
    def given_id(self) -> str | None:
        """The id of the approval or child, None as long as it is not known."""
        return None

    @property
    def begun(self) -> bool:
        """Whether the workflow has begun to wait for it."""
        return hasattr(self, "future")

    @property
    def untold(self) -> bool:
        """Whether the workflow waits for the id, which is known."""
        return self.told is not None and not self.told.done() and self.given_id is not None

    def __str__(self) -> str:
        return f"{self.kind} {self.key!r}"

    @property
    def open(self) -> bool:
        """Whether it is still waited for."""
        return not self.future.done()


@dataclass(eq=False, slots=True, kw_only=True)
class PendingStep(Pending):
    """A step. ``failures`` counts the failed attempts since the last retry.

    ``failed_at``: the time of the last of them. ``arguments_digest``: None if its arguments can't
    be compared. ``context``: that of the workflow's task when it called the step.

    ``pause`` and ``timeout`` are in seconds: between the first two attempts, and of each attempt.
    ``final``: kinds of errors that are not tried again.
    """

    kind: ClassVar[str] = "step"
    named: str
    call: Callable[[Executor | None], Awaitable[Any]]
    read: Read
    in_thread: bool = False
    clearance: Clearance | None = None
    attempts: int = 1
    pause: float = 0.5
    timeout: float | None = None
    final: ErrorKinds = ()
    arguments_digest: str | None = None
    failures: int = 0
    failed_at: datetime | None = None
    context: Context = field(default_factory=copy_context)
    task: "asyncio.Task[None] | None" = None

    @property
    def name(self) -> str:
        """Its name in the record."""
        return self.named


@dataclass(eq=False, slots=True, kw_only=True)
class PendingApproval(Pending):
    """An approval. ``approval_id`` is set once the service has answered.

    ``read`` gives the payload the types that the workflow gave it, ``read_answers`` answers that
    of the form.
    """

    kind: ClassVar[str] = "approval"
    request: RequestApproval
    read: Read
    read_answers: Read = as_it_is
    approval_id: str | None = None
    _payload_digest: str | None = field(default=None, init=False)

    @property
    def payload_digest(self) -> str:
        """The digest of the payload that is asked about."""
        if self._payload_digest is None:
            self._payload_digest = digest(self.request.payload)
        return self._payload_digest

    @property
    def given_id(self) -> str | None:
        """The id of the approval."""
        return self.approval_id


@dataclass(eq=False, slots=True, kw_only=True)
class PendingTimer(Pending):
    """A timer. One of ``delay`` and ``until`` is given."""

    kind: ClassVar[str] = "timer"
    delay: timedelta | None = None
    until: datetime | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class PendingChild(Pending):
    """A child execution. ``on_any_queue``: the workflow did not name a queue.

    ``child_id`` is set if the workflow wants to know it, once the child is recorded.
    """

    kind: ClassVar[str] = "child"
    command: StartChild
    read: Read
    on_any_queue: bool = False
    child_id: str | None = None

    @property
    def given_id(self) -> str | None:
        """The id of the child."""
        return self.child_id
