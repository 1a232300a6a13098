"""The events: all that can have happened to an execution.

An event has its structure (ids, keys, verdicts, counts, digests, times) in its own fields. What
people wrote or sent is in ``content``, which the codec stores as one sealed part. A topic never
changes its meaning: a changed event gets a new topic, and the old one stays readable.

No command causes some of this yet: ApprovalExpired, ApprovalDelegated and ApprovalEscalated, and
the fields and values for forms, deadlines, delegation and escalation, here and in
``domain.approvals`` (``form``, ``answers``, ``deadline``, ``on_behalf_of``, ``delegations``,
``escalate_to``, ``escalated_to``, EXPIRED, EXPIRY and ExpiryAction). It is kept on purpose. The
golden files and the API have it, and those features will use it. Until then the input that would
need it, amendments among it, is refused.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain.approvals.policy import ExpiryAction, Policy
from domain.values import Actor, ExecutionState, Label, Parent, Value


class Content(Value, frozen=True, kw_only=True):
    """What people wrote or sent. Every field has a default, because it may be missing."""


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


class ReasonContent(Content, frozen=True, kw_only=True):
    """Why somebody withdrew, cancelled or parked."""

    reason: str = ""


class RequestContent(Content, frozen=True, kw_only=True):
    """What approvers are shown. ``payload`` is what will be done if they agree."""

    title: str | None = None
    description: str | None = None
    payload: Any = None
    form: Any = None


class DecisionContent(Content, frozen=True, kw_only=True):
    """What an approver wrote, and the name of the person for whom the approver decided."""

    comment: str | None = None
    answers: Any = None
    on_behalf_of_name: str | None = None


class SignalContent(Content, frozen=True, kw_only=True):
    """The data that was sent: any JSON value."""

    payload: Any = None


class ChildContent(Content, frozen=True, kw_only=True):
    """The result of a child, or its error or the reason for its end."""

    result: Any = None
    error: str | None = None


class Event(Value, frozen=True, kw_only=True):
    """Base of all events. ``topic`` is the name under which the event type is stored."""

    topic: ClassVar[str] = ""
    content: Content = Content()


_STARTED = StartedContent()
_RESULT = ResultContent()
_ERROR = ErrorContent()
_REASON = ReasonContent()
_REQUEST = RequestContent()
_DECISION = DecisionContent()
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
    """``fence`` is the worker's fencing token. It grows by one with each claim."""

    topic: ClassVar[str] = "execution.claimed.v1"
    worker: str
    fence: int


class StepCompleted(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.step-completed.v1"
    key: str
    name: str
    attempt: int
    content: ResultContent = _RESULT


class StepFailed(Event, frozen=True, kw_only=True):
    """One attempt of a step failed. The execution goes on."""

    topic: ClassVar[str] = "execution.step-failed.v1"
    key: str
    name: str
    attempt: int
    content: ErrorContent = _ERROR


class ApprovalRequested(Event, frozen=True, kw_only=True):
    """``digest`` covers the whole document, ``payload_digest`` only what will be done."""

    topic: ClassVar[str] = "execution.approval-requested.v1"
    ordinal: int
    key: str
    round: int
    policy: Policy
    payload_digest: str
    digest: str
    deadline: datetime | None = None
    content: RequestContent = _REQUEST


class Decided(Event, frozen=True, kw_only=True):
    """One person's decision.

    ``groups`` are the person's groups that the policy names, as they were at the decision. ``rule``
    is the user or group that made the person eligible. ``resolves`` is true if this decision
    resolves the approval. ``on_behalf_of`` is the id of the person for whom the actor decided.
    """

    ordinal: int
    digest: str
    rule: str
    groups: tuple[str, ...] = ()
    resolves: bool = False
    on_behalf_of: str | None = None
    content: DecisionContent = _DECISION


class ApprovalGranted(Decided, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.approval-granted.v1"


class ApprovalRejected(Decided, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.approval-rejected.v1"


class ApprovalExpired(Event, frozen=True, kw_only=True):
    """The deadline passed. ``action`` says what follows."""

    topic: ClassVar[str] = "execution.approval-expired.v1"
    ordinal: int
    action: ExpiryAction


class ApprovalWithdrawn(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.approval-withdrawn.v1"
    ordinal: int
    content: ReasonContent = _REASON


class ApprovalDelegated(Event, frozen=True, kw_only=True):
    """The actor handed the right to decide to another person."""

    topic: ClassVar[str] = "execution.approval-delegated.v1"
    ordinal: int
    to: str
    content: DecisionContent = _DECISION


class ApprovalEscalated(Event, frozen=True, kw_only=True):
    """These groups may decide as well from now on."""

    topic: ClassVar[str] = "execution.approval-escalated.v1"
    ordinal: int
    groups: tuple[str, ...]


class Resumed(Event, frozen=True, kw_only=True):
    """The last pending approval was resolved, so the workflow can go on."""

    topic: ClassVar[str] = "execution.resumed.v1"


class ApprovalRedeemed(Event, frozen=True, kw_only=True):
    """What was granted is about to be done, under this key only."""

    topic: ClassVar[str] = "execution.approval-redeemed.v1"
    ordinal: int
    payload_digest: str
    redemption_key: str


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
    """The server is to start a child with the id ``child_id``."""

    topic: ClassVar[str] = "execution.child-started.v1"
    key: str
    round: int
    child_id: UUID
    workflow: str
    workflow_version: str | None = None
    queue: str
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


class Cancelled(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.cancelled.v1"
    content: ReasonContent = _REASON


class Retried(Event, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.retried.v1"


Events = tuple[Event, ...]

EVENT_TYPES: tuple[type[Event], ...] = (
    Started,
    Claimed,
    StepCompleted,
    StepFailed,
    ApprovalRequested,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalExpired,
    ApprovalWithdrawn,
    ApprovalDelegated,
    ApprovalEscalated,
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
    Cancelled,
    Retried,
)


class Recorded(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An event as it is in the log, with who recorded it, when and why.

    ``version`` counts from 1 in each execution. ``at`` is the database's time of the commit, or
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
