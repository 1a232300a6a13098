"""What the service answers: one Struct for each type of the contract that the client selects.

Fields have the names of the contract, in snake case. JSON values are plain Python values.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from placet.models.enums import (
    ApprovalStatus,
    ExecutionState,
    ExpiryAction,
    ParentEnd,
    ResolutionCause,
    Role,
    Verdict,
)

T = TypeVar("T")


class ResponseModel(msgspec.Struct, frozen=True, rename="camel"):
    """Base of all answers. Unknown fields of a newer contract are ignored."""


class Actor(ResponseModel, kw_only=True, frozen=True):
    """The person or owner who did something, as authenticated."""

    id: str
    name: str | None = None


class Principal(ResponseModel, kw_only=True, frozen=True):
    """Who the token belongs to. ``queues`` None: not bound to queues."""

    id: str
    name: str | None = None
    roles: list[Role]
    groups: list[str]
    queues: list[str] | None = None


class Label(ResponseModel, kw_only=True, frozen=True):
    """A name and a value put on an execution at its start."""

    name: str
    value: str


class PageInfo(ResponseModel, kw_only=True, frozen=True):
    """Where a page begins and ends."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None = None
    end_cursor: str | None = None


class Edge(ResponseModel, Generic[T], kw_only=True, frozen=True):
    """One row of a page with its cursor."""

    cursor: str
    node: T


class Page(ResponseModel, Generic[T], kw_only=True, frozen=True):
    """One page. Iterating gives its rows.

    ``position``: the position of the log that a page of a read model shows. A stream from there
    misses nothing. ``total_count``: if requested, exact up to 10,000 and None above.
    """

    edges: list[Edge[T]]
    page_info: PageInfo
    total_count: int | None = None
    position: str | None = None

    def __iter__(self) -> Iterator[T]:
        return (edge.node for edge in self.edges)

    def __len__(self) -> int:
        return len(self.edges)

    @property
    def next(self) -> str | None:
        """The cursor to ask for the next page with, None at the end."""
        return self.page_info.end_cursor if self.page_info.has_next_page else None


class Step(ResponseModel, kw_only=True, frozen=True):
    """A recorded step. ``error`` is that of the last attempt while none succeeded."""

    key: str
    name: str
    attempts: int
    result: Any = None
    error: str | None = None
    completed_at: datetime | None = None


class ExecutionHead(ResponseModel, kw_only=True, frozen=True):
    """What the answer to a command says of its execution."""

    id: str
    workflow: str
    state: ExecutionState
    version: int
    fence: int
    updated_at: datetime
    woken_version: int = 0


class Parent(ResponseModel, kw_only=True, frozen=True):
    """The execution for which another one was started, under a key."""

    execution_id: str
    key: str
    round: int


class Child(ResponseModel, kw_only=True, frozen=True):
    """An execution that another one has started. ``outcome`` is its final state, None until then.

    ``on_parent_end``: what becomes of it if its parent ends before it.
    """

    key: str
    round: int
    execution_id: str
    workflow: str
    outcome: ExecutionState | None = None
    on_parent_end: ParentEnd | None = None


class ExecutionBody(ResponseModel, kw_only=True, frozen=True):
    """The fields of an execution, now or at an earlier version.

    ``asleep``: its worker waits for nothing but a timer, a signal or a child. ``parked`` says why
    no worker goes on with it. ``woken_version`` is that of the latest event for which a worker may
    have waited, 0 if there was none.
    """

    workflow: str
    workflow_version: str | None = None
    queue: str
    state: ExecutionState
    version: int
    fence: int
    worker: str | None = None
    input: Any = None
    result: Any = None
    error: str | None = None
    labels: list[Label]
    initiator: Actor
    on_behalf_of: str | None = None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    asleep: bool = False
    parked: str | None = None
    woken_version: int = 0
    parent: Parent | None = None


class Execution(ExecutionBody, kw_only=True, frozen=True):
    """An execution as it is now."""

    id: str


class Requirement(ResponseModel, kw_only=True, frozen=True):
    """A number of people who are in any of the groups or among the users."""

    count: int
    groups: list[str]
    users: list[str]
    stage: int = 1


class ApprovalPolicy(ResponseModel, kw_only=True, frozen=True):
    """Who has to agree, how many rejections reject, and what the deadline does."""

    requirements: list[Requirement]
    rejections: int
    allow_initiator: bool
    on_expiry: ExpiryAction
    escalate_to: list[str]
    within: timedelta | None = None
    calendar: str | None = None
    remind_before: list[timedelta] = msgspec.field(default_factory=list)
    valid_for: timedelta | None = None
    amendable: bool = False
    comment_required: bool = False
    acr_values: list[str] = msgspec.field(default_factory=list)
    max_auth_age: timedelta | None = None


class Decision(ResponseModel, kw_only=True, frozen=True):
    """The verdict of one person, with the digest of the document that this person saw.

    A grant that amended the payload has the digest of the amended document. ``explanation`` says
    the ``rule`` in words, with the groups that the person held. ``counts``: False if it was taken
    back, at ``retracted_at``, or if it is a grant and the payload was amended since.
    ``standing_grant_id``: that of the standing grant by which the person decided in advance.
    """

    verdict: Verdict
    by: Actor
    on_behalf_of: Actor | None = None
    at: datetime
    comment: str | None = None
    answers: Any = None
    digest: str
    rule: str
    explanation: str = ""
    counts: bool = True
    retracted_at: datetime | None = None
    standing_grant_id: str | None = None


class Amendment(ResponseModel, kw_only=True, frozen=True):
    """A change of the payload, by a person who granted it so. ``patch``: by RFC 6902."""

    by: Actor
    at: datetime
    patch: Any = None
    payload_digest: str


class Eligibility(ResponseModel, kw_only=True, frozen=True):
    """Whether the viewer may decide, and if not, why."""

    allowed: bool
    reasons: list[str]


class ApprovalBody(ResponseModel, kw_only=True, frozen=True):
    """The fields of an approval, now or at an earlier version.

    ``payload``, ``document`` and their digests are as the last of the ``amendments`` left them.
    """

    key: str
    round: int
    title: str | None = None
    description: str | None = None
    payload: Any = None
    payload_digest: str
    document: Any = None
    digest: str
    form: Any = None
    erased: bool
    policy: ApprovalPolicy
    status: ApprovalStatus
    resolution: ResolutionCause | None = None
    decisions: list[Decision]
    amendments: list[Amendment] = msgspec.field(default_factory=list)
    outstanding: list[Requirement]
    requested_at: datetime
    deadline: datetime | None = None
    resolved_at: datetime | None = None
    redeemed_at: datetime | None = None


class ApprovalRecord(ApprovalBody, kw_only=True, frozen=True):
    """An approval as it is now, the same for every caller.

    ``digest`` is that of ``document``, which is everything that an approver is shown.
    """

    id: str
    execution_id: str
    workflow: str
    initiator: Actor

    def lapsed(self, now: datetime) -> bool:
        """Whether it was granted, and the time to use the grant is over."""
        span = self.policy.valid_for
        if self.status is not ApprovalStatus.GRANTED or span is None or self.redeemed_at:
            return False
        return self.resolved_at is not None and now > self.resolved_at + span


class Delegation(ResponseModel, kw_only=True, frozen=True):
    """The right to decide, handed from one person to another."""

    from_: Actor = msgspec.field(name="from")
    to: Actor
    at: datetime
    comment: str | None = None
    taken_back_at: datetime | None = None


class Comment(ResponseModel, kw_only=True, frozen=True):
    """What somebody wrote about an approval. ``text`` None: it was erased."""

    id: str
    by: Actor
    at: datetime
    text: str | None = None


class Approval(ApprovalRecord, kw_only=True, frozen=True):
    """An approval as it is now, for one caller.

    ``valid_until``: until when the grant can be used. ``escalated_at``: when its deadline was moved
    and further groups were asked. ``claimed_by``: who said last that they are on it.
    """

    viewer_may_decide: Eligibility
    valid_until: datetime | None = None
    escalated_at: datetime | None = None
    comment_count: int = 0
    claimed_by: Actor | None = None
    delegations: list[Delegation] = msgspec.field(default_factory=list)


class PreviousRound(ResponseModel, kw_only=True, frozen=True):
    """The round before an approval.

    ``document_diff``: what has changed in the document since, as a JSON Patch (RFC 6902).
    """

    approval: Approval
    document_diff: list[dict[str, Any]]


class ApprovalSnapshot(ApprovalBody, kw_only=True, frozen=True):
    """An approval as it was at an earlier version."""


class ExecutionSnapshot(ExecutionBody, kw_only=True, frozen=True):
    """An execution as it was at an earlier version. ``as_of``: the time of its last event then."""

    execution_id: str
    as_of: datetime
    steps: Page[Step]
    approvals: list[ApprovalSnapshot]


class History(ResponseModel, kw_only=True, frozen=True):
    """An execution with all its steps and approvals, each in the order first seen."""

    execution: Execution
    steps: list[Step]
    approvals: list[Approval]


class RecordedEvent(ResponseModel, kw_only=True, frozen=True):
    """An event of the log. ``hash`` covers ``stored_bytes``; ``data`` is None if erased."""

    position: str
    execution_id: str
    version: int
    type: str
    topic: str
    data: Any = None
    actor: Actor
    at: datetime
    command_id: str
    correlation_id: str
    causation_id: str | None = None
    previous_hash: str
    hash: str
    stored_bytes: bytes


class RecordedDecision(ResponseModel, kw_only=True, frozen=True):
    """A decision, with what it was about. ``took``: the time from ``asked_at`` to ``decided_at``.

    ``by`` is the service itself, and ``rule`` "deadline", for a grant at the deadline. ``counts``:
    False if it was taken back. ``status`` is that of the approval now.
    """

    approval_id: str
    execution_id: str
    version: int
    workflow: str
    key: str
    round: int
    title: str | None = None
    verdict: Verdict
    by: Actor
    on_behalf_of: Actor | None = None
    groups: list[str]
    rule: str
    stage: int
    comment: str | None = None
    asked_at: datetime
    decided_at: datetime
    took: timedelta
    counts: bool
    retracted_at: datetime | None = None
    standing_grant_id: str | None = None
    status: ApprovalStatus
    revoked_at: datetime | None = None


class SimulatedApproval(ResponseModel, kw_only=True, frozen=True):
    """An approval that would have ended otherwise with another policy, and why.

    ``status_with`` PENDING: the recorded decisions would not have been enough.
    """

    approval: Approval
    status_then: ApprovalStatus
    status_with: ApprovalStatus
    reason: str


class PolicySimulation(ResponseModel, kw_only=True, frozen=True):
    """What a policy would have made of the past.

    ``examined``: how many approvals were decided again. ``different``: how many of them would have
    ended otherwise. ``changes``: the first 500 of these, the latest request first.
    """

    examined: int
    different: int
    changes: list[SimulatedApproval]


class EventMessage(ResponseModel, kw_only=True, frozen=True):
    """A message of the stream of events. Without an event only the cursor has moved on."""

    cursor: str
    event: RecordedEvent | None = None


class ApprovalMessage(ResponseModel, kw_only=True, frozen=True):
    """A message of the stream of approvals. ``removed_id``: an approval that no longer matches."""

    cursor: str
    approval: Approval | None = None
    removed_id: str | None = None


class Accepted(ResponseModel, kw_only=True, tag_field="__typename", tag="Accepted", frozen=True):
    """A command was carried out. ``repeated``: an earlier call had carried it out.

    ``warnings``: for which requirements of a request for approval the service knows too few people
    who could decide.
    """

    position: str
    repeated: bool
    execution: ExecutionHead | None = None
    approval: Approval | None = None
    warnings: tuple[str, ...] = ()


class RefusedResult(
    ResponseModel, kw_only=True, tag_field="__typename", tag="Refused", frozen=True
):
    """A command was refused. Callers get it as :class:`placet.Refused`."""

    code: str
    message: str
    execution: ExecutionHead | None = None
    approval: Approval | None = None


class Move(ResponseModel, kw_only=True, frozen=True):
    """The part of an event that changes an execution's state."""

    version: int
    type: str


class ExecutionChange(ResponseModel, kw_only=True, frozen=True):
    """An execution after a version. ``execution`` None: it has not changed since."""

    changed: bool
    version: int
    execution: Execution | None = None
