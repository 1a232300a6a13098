"""The events about approvals. They are recorded in the execution that asks for the approval."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from domain.approvals.deadline_times import DeadlineTimes
from domain.approvals.policy import ExpiryAction, Policy
from domain.execution.event import Content, Event, ReasonContent
from domain.values import SubstitutionRef


class RequestContent(Content, frozen=True, kw_only=True):
    """What approvers are shown. ``payload`` is what will be done if they agree.

    ``form`` is the JSON Schema of what those who grant have to answer; None if nothing is asked.
    """

    title: str | None = None
    description: str | None = None
    payload: Any = None
    form: Any = None


class DecisionContent(Content, frozen=True, kw_only=True):
    """What an approver wrote, and the names of the approver and of the person who is stood in for.

    ``answers`` are to the form of the approval. ``decided_by_name`` is given only if the actor is
    another.
    """

    comment: str | None = None
    answers: Any = None
    on_behalf_of_name: str | None = None
    decided_by_name: str | None = None


class AmendmentContent(Content, frozen=True, kw_only=True):
    """The payload after an amendment, and the JSON Patch (RFC 6902) that leads to it."""

    payload: Any = None
    patch: Any = None


class CommentContent(Content, frozen=True, kw_only=True):
    """The text of a comment."""

    text: str = ""


_AMENDMENT = AmendmentContent()
_COMMENT = CommentContent()
_DECISION = DecisionContent()
_REASON = ReasonContent()
_REQUEST = RequestContent()


class ApprovalRequested(Event, frozen=True, kw_only=True):
    """``digest`` covers the whole document, ``payload_digest`` only what will be done.

    ``reminders`` are the times of the reminders before the deadline, the earliest first.
    ``after_escalation`` are the times that an escalation sets, if a calendar counts them.
    """

    topic: ClassVar[str] = "execution.approval-requested.v1"
    ordinal: int
    key: str
    round: int
    policy: Policy
    payload_digest: str
    digest: str
    deadline: datetime | None = None
    reminders: tuple[datetime, ...] = ()
    after_escalation: DeadlineTimes | None = None
    content: RequestContent = _REQUEST


class Decided(Event, frozen=True, kw_only=True):
    """One person's decision.

    ``groups`` are all groups that the person held at the decision. If ``all_groups_known`` is
    false, they are only those that the policy names: version 1 recorded no others. ``rule`` is the
    user or group that made the person eligible. ``resolves`` is true if this decision resolves the
    approval. ``on_behalf_of`` is the id of the person for whom the actor decided: by a delegation,
    or by the ``substitution`` if there is one.
    ``stage`` is the stage in which the person was asked. ``key`` is the caller's key for repeats.
    ``acr`` and ``auth_time`` are the strengths and the time of the login, recorded where the policy
    asks for one. A decision by a standing grant has its id, and the id of the person in
    ``decided_by``; its actor is the server. Of any other, the actor is the person.
    """

    ordinal: int
    digest: str
    rule: str
    groups: tuple[str, ...] = ()
    all_groups_known: bool = True
    resolves: bool = False
    on_behalf_of: str | None = None
    stage: int = 1
    key: str | None = None
    standing_grant_id: UUID | None = None
    substitution: SubstitutionRef | None = None
    decided_by: str | None = None
    acr: str | None = None
    auth_time: datetime | None = None
    content: DecisionContent = _DECISION


class ApprovalGranted(Decided, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.approval-granted.v2"


class ApprovalRejected(Decided, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.approval-rejected.v2"


class ApprovalChangesRequested(Decided, frozen=True, kw_only=True):
    """It counts towards the rejections of the policy."""

    topic: ClassVar[str] = "execution.approval-changes-requested.v1"


class ApprovalAmended(Event, frozen=True, kw_only=True):
    """The actor changed the payload, and grants it so by the event that follows.

    Grants before it no longer count. ``seen_digest`` is the digest of the document that the actor
    changed; ``digest`` and ``payload_digest`` are those after the change.
    """

    topic: ClassVar[str] = "execution.approval-amended.v1"
    ordinal: int
    seen_digest: str
    digest: str
    payload_digest: str
    content: AmendmentContent = _AMENDMENT


class DecisionRetracted(Event, frozen=True, kw_only=True):
    """The actor takes back the own decision, which was recorded at ``decision_version``."""

    topic: ClassVar[str] = "execution.decision-retracted.v1"
    ordinal: int
    decision_version: int
    content: DecisionContent = _DECISION


class ApprovalRevoked(Event, frozen=True, kw_only=True):
    """A grant that was not redeemed is taken back. Nothing can be redeemed from now on."""

    topic: ClassVar[str] = "execution.approval-revoked.v1"
    ordinal: int
    content: ReasonContent = _REASON


class ApprovalCommented(Event, frozen=True, kw_only=True):
    """``text_digest`` tells a repeat under the same ``key`` from another comment."""

    topic: ClassVar[str] = "execution.approval-commented.v1"
    ordinal: int
    text_digest: str
    key: str | None = None
    content: CommentContent = _COMMENT


class ApprovalClaimed(Event, frozen=True, kw_only=True):
    """The actor is looking into the approval. It binds nobody."""

    topic: ClassVar[str] = "execution.approval-claimed.v1"
    ordinal: int


class ApprovalUnclaimed(Event, frozen=True, kw_only=True):
    """Nobody is looking into the approval any more."""

    topic: ClassVar[str] = "execution.approval-unclaimed.v1"
    ordinal: int


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
    """The actor handed the right to decide to another person.

    ``groups`` are those of the person in whose place is decided, as they were at the first
    delegation. ``source`` is the version of the delegation by which the actor had the right; 0
    if it was their own.
    """

    topic: ClassVar[str] = "execution.approval-delegated.v1"
    ordinal: int
    to: str
    groups: tuple[str, ...] = ()
    source: int = 0
    content: DecisionContent = _DECISION


class DelegationTakenBack(Event, frozen=True, kw_only=True):
    """The actor takes back the delegation that was recorded at ``delegation_version``."""

    topic: ClassVar[str] = "execution.delegation-taken-back.v1"
    ordinal: int
    delegation_version: int


class ApprovalEscalated(Event, frozen=True, kw_only=True):
    """The deadline passed. These groups may decide as well from now on, until the new deadline."""

    topic: ClassVar[str] = "execution.approval-escalated.v1"
    ordinal: int
    groups: tuple[str, ...]
    deadline: datetime | None = None
    reminders: tuple[datetime, ...] = ()


class ApprovalReminded(Event, frozen=True, kw_only=True):
    """Those who have not decided are reminded. ``due_at`` is when the reminder was due."""

    topic: ClassVar[str] = "execution.approval-reminded.v1"
    ordinal: int
    due_at: datetime


class ApprovalRedeemed(Event, frozen=True, kw_only=True):
    """What was granted is about to be done, under this key only."""

    topic: ClassVar[str] = "execution.approval-redeemed.v1"
    ordinal: int
    payload_digest: str
    redemption_key: str
