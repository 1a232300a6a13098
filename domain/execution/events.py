"""The events: all that can have happened to an execution.

An event has its structure (ids, keys, verdicts, counts, digests, times) in its own fields. What
people wrote or sent is in ``content``, which the codec stores as one sealed part. A topic never
changes its meaning: a changed event gets a new topic, and ``domain.serialization.upcasters`` reads
the old one.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain.approvals.events import (
    ApprovalAmended,
    ApprovalChangesRequested,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalUnclaimed,
    ApprovalWithdrawn,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.execution.event import Content, Event, ReasonContent
from domain.values import Actor, ExecutionState, Label, Parent, ParentEnd

TOPIC_PREFIX = "execution."
"""How the topics of all events of executions begin."""


class StartedContent(Content, frozen=True, kw_only=True):
    """``input`` is any JSON value."""

    input: Any = None
    labels: tuple[Label, ...] = ()


class ResultContent(Content, frozen=True, kw_only=True):
    """The result of a step or of the execution: any JSON value."""

    result: Any = None


class ErrorContent(Content, frozen=True, kw_only=True):
    """The error of a failed attempt or of the execution."""

    error: str = ""


class SignalContent(Content, frozen=True, kw_only=True):
    """The data that was sent: any JSON value."""

    payload: Any = None


class ChildContent(Content, frozen=True, kw_only=True):
    """The result of a child, or its error or the reason for its end."""

    result: Any = None
    error: str | None = None


_STARTED = StartedContent()
_RESULT = ResultContent()
_ERROR = ErrorContent()
_REASON = ReasonContent()
_SIGNAL = SignalContent()
_CHILD = ChildContent()


class Started(Event, frozen=True, kw_only=True):
    """``key`` is the idempotency key, unique for the actor and the workflow.

    ``parent`` is set for a child.
    """

    topic: ClassVar[str] = "execution.started.v1"
    workflow: str
    workflow_version: str | None = None
    queue: str
    key: str | None = None
    on_behalf_of: str | None = None
    parent: Parent | None = None
    content: StartedContent = _STARTED


class Claimed(Event, frozen=True, kw_only=True):
    """``fence`` is the worker's fencing token. It grows by one with each claim.

    ``taken_over``: the execution had work to do, and the worker that held it was gone.
    """

    topic: ClassVar[str] = "execution.claimed.v1"
    worker: str
    fence: int
    taken_over: bool = False


class CleanUpDeclared(Event, frozen=True, kw_only=True):
    """The workflow cleans up after a cancellation, so a cancellation waits for that.

    The worker that claims the execution next says so, because its code knows.
    """

    topic: ClassVar[str] = "execution.clean-up-declared.v1"


class StepCompleted(Event, frozen=True, kw_only=True):
    """``arguments_digest`` tells the step's worker whether it is called with the same again."""

    topic: ClassVar[str] = "execution.step-completed.v1"
    key: str
    name: str
    attempt: int
    arguments_digest: str | None = None
    content: ResultContent = _RESULT


class StepFailed(Event, frozen=True, kw_only=True):
    """One attempt of a step failed. The execution goes on."""

    topic: ClassVar[str] = "execution.step-failed.v1"
    key: str
    name: str
    attempt: int
    arguments_digest: str | None = None
    content: ErrorContent = _ERROR


class Resumed(Event, frozen=True, kw_only=True):
    """The last pending approval was resolved, so the workflow can go on."""

    topic: ClassVar[str] = "execution.resumed.v1"


class TimerSet(Event, frozen=True, kw_only=True):
    """The timer fires at ``until``, or ``delay`` after this event, by the database's clock."""

    topic: ClassVar[str] = "execution.timer-set.v1"
    key: str
    delay: timedelta | None = None
    until: datetime | None = None


class TimerFired(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.timer-fired.v1"
    key: str


class TimerCancelled(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.timer-cancelled.v1"
    key: str


class SignalReceived(Event, frozen=True, kw_only=True):
    """Data was sent from outside. ``key`` makes sending it idempotent."""

    topic: ClassVar[str] = "execution.signal-received.v1"
    key: str
    name: str
    content: SignalContent = _SIGNAL


class ChildStarted(Event, frozen=True, kw_only=True):
    """The server is to start a child with the id ``child_id``.

    ``on_parent_end``: what becomes of it if this execution ends before it. Version 1 has no such
    field.
    """

    topic: ClassVar[str] = "execution.child-started.v2"
    key: str
    round: int
    child_id: UUID
    workflow: str
    workflow_version: str | None = None
    queue: str
    on_parent_end: ParentEnd | None = None
    content: StartedContent = _STARTED


class ChildEnded(Event, frozen=True, kw_only=True):
    """A child ended. ``outcome`` is its final state."""

    topic: ClassVar[str] = "execution.child-ended.v1"
    key: str
    round: int
    outcome: ExecutionState
    content: ChildContent = _CHILD


class Suspended(Event, frozen=True, kw_only=True):
    """The worker has nothing to do until a timer fires, a signal comes or a child ends."""

    topic: ClassVar[str] = "execution.suspended.v1"


class Parked(Event, frozen=True, kw_only=True):
    """No worker may go on until a person unparks the execution. The reason says what is wrong."""

    topic: ClassVar[str] = "execution.parked.v1"
    content: ReasonContent = _REASON


class Unparked(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.unparked.v1"


class Completed(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.completed.v1"
    content: ResultContent = _RESULT


class Failed(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.failed.v1"
    content: ErrorContent = _ERROR


class CancellationRequested(Event, frozen=True, kw_only=True):
    """The execution is to be cancelled, once its workflow has cleaned up."""

    topic: ClassVar[str] = "execution.cancellation-requested.v1"
    content: ReasonContent = _REASON


class Cancelled(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.cancelled.v1"
    content: ReasonContent = _REASON


class Retried(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.retried.v1"


Events = tuple[Event, ...]

EVENT_TYPES: tuple[type[Event], ...] = (
    Started,
    Claimed,
    CleanUpDeclared,
    StepCompleted,
    StepFailed,
    ApprovalRequested,
    ApprovalAmended,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalChangesRequested,
    DecisionRetracted,
    ApprovalRevoked,
    ApprovalCommented,
    ApprovalClaimed,
    ApprovalUnclaimed,
    ApprovalExpired,
    ApprovalWithdrawn,
    ApprovalDelegated,
    DelegationTakenBack,
    ApprovalEscalated,
    ApprovalReminded,
    Resumed,
    ApprovalRedeemed,
    TimerSet,
    TimerFired,
    TimerCancelled,
    SignalReceived,
    ChildStarted,
    ChildEnded,
    Suspended,
    Parked,
    Unparked,
    Completed,
    Failed,
    CancellationRequested,
    Cancelled,
    Retried,
)


class Recorded(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An event as it is in the log, with who recorded it, when and why.

    ``execution_id`` is the id of its stream; that of a standing grant has events too.
    ``version`` counts from 1 in each stream. ``at`` is the database's time of the commit, or
    at most a tenth of a second before. ``previous_hash`` is the hash of the version before, or 64
    zeros for the first. ``trace`` is a W3C traceparent.
    """

    execution_id: UUID
    version: int
    at: datetime
    actor: Actor
    command_id: UUID
    correlation_id: UUID
    causation_id: UUID | None = None
    trace: str | None = None
    previous_hash: str
    event: Event
