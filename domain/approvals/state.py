"""The state of an approval: the part of the execution's state that its decisions change."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.approvals.policy import Policy
from domain.identifiers import ApprovalId
from domain.names import folded, may_be_same_person, same_name
from domain.values import Actor, Snapshotted


class ApprovalStatus(StrEnum):
    """Where an approval stands. All but PENDING are resolved for good."""

    PENDING = "PENDING"
    GRANTED = "GRANTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"


class ResolutionCause(StrEnum):
    """What resolved an approval."""

    DECISIONS = "DECISIONS"
    EXPIRY = "EXPIRY"
    WITHDRAWAL = "WITHDRAWAL"


class Verdict(StrEnum):
    """One person's decision."""

    GRANTED = "GRANTED"
    REJECTED = "REJECTED"


class Decision(Snapshotted, frozen=True, kw_only=True):
    """One person's decision, recorded at ``version``.

    ``groups`` are the person's groups that the policy names, as they were at the decision. ``rule``
    says which user or group made the person eligible.
    """

    verdict: Verdict
    by: Actor
    at: datetime
    version: int
    digest: str
    rule: str
    groups: tuple[str, ...] = ()
    on_behalf_of: Actor | None = None
    comment: str | None = None
    answers: Any = None


class Approval(Snapshotted, frozen=True, kw_only=True):
    """One round of one question to people.

    ``digest`` covers the whole document that approvers see, ``payload_digest`` the payload alone.
    ``retry`` counts the retries of the execution before the request. ``requested_version``,
    ``resolved_version`` and ``redeemed_version`` are the versions of those events; 0 means that the
    event has not happened.
    """

    id: ApprovalId
    key: str
    round: int
    title: str | None
    description: str | None
    payload: Any
    payload_digest: str
    digest: str
    form: Any = None
    policy: Policy
    requested_by: Actor
    requested_at: datetime
    requested_version: int
    deadline: datetime | None = None
    retry: int = 0
    status: ApprovalStatus = ApprovalStatus.PENDING
    resolution: ResolutionCause | None = None
    decisions: tuple[Decision, ...] = ()
    delegations: tuple[tuple[str, str], ...] = ()
    escalated_to: tuple[str, ...] = ()
    resolved_at: datetime | None = None
    resolved_version: int = 0
    redeemed_at: datetime | None = None
    redeemed_version: int = 0
    redemption_key: str | None = None

    @property
    def ordinal(self) -> int:
        """The number of the approval within its execution, from 1, in the order of requests."""
        return self.id.ordinal

    @property
    def pending(self) -> bool:
        """Whether it is not resolved yet."""
        return self.status is ApprovalStatus.PENDING

    def decision_of(self, person: str) -> Decision | None:
        """Return this person's decision, or None."""
        return next((d for d in self.decisions if same_name(d.by.id, person)), None)

    def decision_that_bars(self, person: str) -> Decision | None:
        """Return a decision that may be this person's, so that they may not decide again."""
        return next((d for d in self.decisions if may_be_same_person(d.by.id, person)), None)


def by_different_people(decisions: Iterable[Decision]) -> list[Decision]:
    """Return the first decision of each person. Names that may be one person's count once."""
    first: dict[str, Decision] = {}
    for decision in decisions:
        first.setdefault(folded(decision.by.id), decision)
    return list(first.values())
