"""The state of an approval: the part of the execution's state that its decisions change."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.approvals.deadline_times import DeadlineTimes
from domain.approvals.policy import Policy
from domain.identifiers import ApprovalId
from domain.names import folded, may_be_same_person, normal, normal_set, same_name
from domain.values import Actor, Snapshotted, SubstitutionRef

CLAIM_DURATION = timedelta(hours=1)


class ApprovalStatus(StrEnum):
    """Where an approval stands. All but PENDING are resolved; only GRANTED can become REVOKED."""

    PENDING = "PENDING"
    GRANTED = "GRANTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    REVOKED = "REVOKED"


class ResolutionCause(StrEnum):
    """What resolved an approval."""

    DECISIONS = "DECISIONS"
    EXPIRY = "EXPIRY"
    WITHDRAWAL = "WITHDRAWAL"
    REVOCATION = "REVOCATION"


class Verdict(StrEnum):
    """One person's decision."""

    GRANTED = "GRANTED"
    REJECTED = "REJECTED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"


class Decision(Snapshotted, frozen=True, kw_only=True):
    """One person's decision, recorded at ``version``.

    ``groups`` are all groups that the person held at the decision; or, if not
    ``all_groups_known``, those that the policy names. ``rule`` says which user or group made the
    person eligible, in which ``stage``. ``key`` is the caller's key for repeats.
    ``standing_grant_id`` is that of the standing grant by which it was made in advance.
    ``amendment_version`` is the version of the amendment that came with it, or 0; ``digest`` is
    then that of the amended document. ``retracted_version`` is the version at which the person took
    it back, and ``superseded_version`` that of an amendment since a grant; 0 if there is none.
    ``acr`` and ``auth_time`` are of the login, known only where the policy asks for one.
    With a ``substitution``, ``on_behalf_of`` is the absent person whose substitute decided.
    """

    verdict: Verdict
    by: Actor
    at: datetime
    version: int
    digest: str
    rule: str
    groups: tuple[str, ...] = ()
    all_groups_known: bool = True
    on_behalf_of: Actor | None = None
    comment: str | None = None
    answers: Any = None
    stage: int = 1
    key: str | None = None
    amendment_version: int = 0
    standing_grant_id: UUID | None = None
    substitution: SubstitutionRef | None = None
    retracted_at: datetime | None = None
    retracted_version: int = 0
    superseded_version: int = 0
    acr: str | None = None
    auth_time: datetime | None = None

    @property
    def stands(self) -> bool:
        """Whether the person has not taken it back."""
        return not self.retracted_version

    @property
    def counts(self) -> bool:
        """Whether it stands, and is no grant of a document that was amended since."""
        return not (self.retracted_version or self.superseded_version)

    def may_be_of(self, person: str) -> bool:
        """Whether the person may have decided so, themselves or by a substitute."""
        if may_be_same_person(self.by.id, person):
            return True
        absent = None if self.substitution is None else self.on_behalf_of
        return absent is not None and may_be_same_person(absent.id, person)


class Amendment(Snapshotted, frozen=True, kw_only=True):
    """A change of the payload by a person who grants it so, recorded at ``version``.

    ``seen_digest`` and ``seen_payload_digest`` are the digests before it, ``digest`` and
    ``payload_digest`` those after. ``patch`` is the JSON Patch (RFC 6902) from payload to payload.
    """

    by: Actor
    at: datetime
    version: int
    seen_digest: str
    seen_payload_digest: str
    digest: str
    payload_digest: str
    patch: Any = None


class Delegation(Snapshotted, frozen=True, kw_only=True):
    """The right to decide, handed from one person to another.

    ``groups`` are those of the person in whose place is decided, as they were at the first
    delegation. ``source`` is the version of the delegation by which who delegated had the right; 0
    if it was their own.
    """

    by: Actor
    to: Actor
    at: datetime
    version: int
    groups: tuple[str, ...] = ()
    source: int = 0
    comment: str | None = None
    taken_back_at: datetime | None = None
    taken_back_version: int = 0

    @property
    def stands(self) -> bool:
        """Whether it was not taken back."""
        return not self.taken_back_version


class Grant(Snapshotted, frozen=True, kw_only=True):
    """How and when an approval was granted that was revoked since."""

    cause: ResolutionCause
    at: datetime
    version: int


class CommentMark(Snapshotted, frozen=True, kw_only=True):
    """What is kept of a comment: its version, and what tells a repeat from another comment."""

    version: int
    by: str
    key: str | None = None
    text_digest: str


class Approval(Snapshotted, frozen=True, kw_only=True):
    """One round of one question to people.

    ``digest`` covers the whole document that approvers see, ``payload_digest`` the payload alone.
    They and ``payload`` are as the last of the ``amendments`` left them.
    ``retry`` counts the retries of the execution before the request. ``requested_version``,
    ``resolved_version``, ``redeemed_version`` and ``claimed_version`` are the versions of those
    events; 0 means that the event has not happened. ``revoked_grant`` is the grant that a
    revocation took back. ``previous_round`` is the ordinal of the round before, or 0.
    ``claimed_by`` said last that they are on it. ``deadline`` is the one that was
    requested, and ``moved_deadline`` the one after an escalation. ``reminders_due`` are the times
    of the reminders that are still to be sent. ``after_escalation`` are the times that an
    escalation sets, if a calendar counted them.
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
    moved_deadline: datetime | None = None
    reminders_due: tuple[datetime, ...] = ()
    after_escalation: DeadlineTimes | None = None
    reminders_sent: int = 0
    reminded_version: int = 0
    retry: int = 0
    status: ApprovalStatus = ApprovalStatus.PENDING
    resolution: ResolutionCause | None = None
    decisions: tuple[Decision, ...] = ()
    amendments: tuple[Amendment, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    escalated_to: tuple[str, ...] = ()
    escalated_at: datetime | None = None
    escalated_version: int = 0
    resolved_at: datetime | None = None
    resolved_version: int = 0
    revoked_grant: Grant | None = None
    redeemed_at: datetime | None = None
    redeemed_version: int = 0
    redemption_key: str | None = None
    previous_round: int = 0
    comments: tuple[CommentMark, ...] = ()
    claimed_by: Actor | None = None
    claimed_at: datetime | None = None
    claimed_version: int = 0

    @property
    def ordinal(self) -> int:
        """The number of the approval within its execution, from 1, in the order of requests."""
        return self.id.ordinal

    @property
    def pending(self) -> bool:
        """Whether it is not resolved yet."""
        return self.status is ApprovalStatus.PENDING

    @property
    def pending_until(self) -> datetime | None:
        """When it stopped waiting for people; None if it is pending. It never waits again."""
        return self.resolved_at if self.revoked_grant is None else self.revoked_grant.at

    @property
    def expiry_grant(self) -> Grant | None:
        """The grant by its deadline, which nobody decided; None if there was none."""
        grant = self.revoked_grant
        if grant is None and self.status is ApprovalStatus.GRANTED:
            assert self.resolution is not None
            assert self.resolved_at is not None
            grant = Grant(cause=self.resolution, at=self.resolved_at, version=self.resolved_version)
        return grant if grant is not None and grant.cause is ResolutionCause.EXPIRY else None

    @property
    def current_deadline(self) -> datetime | None:
        """The deadline, as an escalation may have moved it."""
        return self.moved_deadline or self.deadline

    @property
    def deadline_version(self) -> int:
        """The version of the event that set the current deadline."""
        return self.escalated_version or self.requested_version

    @property
    def next_due(self) -> datetime | None:
        """When the next reminder or the deadline is due; None if it is resolved or has none."""
        if not self.pending:
            return None
        return self.reminders_due[0] if self.reminders_due else self.current_deadline

    @property
    def valid_until(self) -> datetime | None:
        """Until when the grant can be redeemed; None if it is not granted or valid for ever."""
        if self.status is not ApprovalStatus.GRANTED or self.policy.valid_for is None:
            return None
        assert self.resolved_at is not None
        return self.resolved_at + self.policy.valid_for

    def lapsed(self, now: datetime) -> bool:
        """Whether it was granted, and the time to redeem it is over."""
        until = self.valid_until
        return until is not None and now > until and not self.redeemed_version

    def claimant(self, now: datetime) -> Actor | None:
        """Return who claimed it less than an hour ago, None if nobody did."""
        if self.claimed_at is None or now >= self.claimed_at + CLAIM_DURATION:
            return None
        return self.claimed_by

    def escalation_groups(self, groups: Iterable[str]) -> frozenset[str]:
        """Return those of the groups to which it was escalated, in their normal form."""
        return normal_set(groups).intersection(map(normal, self.escalated_to))

    def delegation_from(self, person: str) -> Delegation | None:
        """Return the delegation by this person that stands, or None."""
        found = (d for d in self.delegations if d.stands and same_name(d.by.id, person))
        return next(found, None)

    def delegation_that_bars(self, person: str) -> Delegation | None:
        """Return a standing delegation that may be this person's, so that they may not decide."""
        found = (d for d in self.delegations if d.stands and may_be_same_person(d.by.id, person))
        return next(found, None)

    def chains_to(self, person: str) -> Iterator[list[Delegation]]:
        """Yield the chains of delegations that lead to a person, each with the last one first."""
        for delegation in self.delegations:
            if same_name(delegation.to.id, person) and (chain := self.chain_of(delegation)):
                yield chain

    def chain_of(self, delegation: Delegation) -> list[Delegation]:
        """Return the delegation and those that it passes on, the first delegation last.

        There are none if one of them was taken back.
        """
        known = {each.version: each for each in self.delegations}
        chain = [delegation]
        while chain[-1].source:
            chain.append(known[chain[-1].source])
        return chain if all(each.stands for each in chain) else []

    @property
    def requested_payload_digest(self) -> str:
        """The digest of the payload that was requested, before all amendments."""
        return self.amendments[0].seen_payload_digest if self.amendments else self.payload_digest

    def amendment_with(self, decision: Decision) -> Amendment | None:
        """Return the amendment that came with the decision, or None."""
        if not decision.amendment_version:
            return None
        return next(a for a in self.amendments if a.version == decision.amendment_version)

    @property
    def counting_decisions(self) -> list[Decision]:
        """The decisions that count, in order: see :attr:`Decision.counts`."""
        return [decision for decision in self.decisions if decision.counts]

    def decisions_of(self, person: str) -> list[Decision]:
        """Return this person's decisions in order, with those that were taken back."""
        return [decision for decision in self.decisions if same_name(decision.by.id, person)]

    def decision_that_bars(self, person: str) -> Decision | None:
        """Return a decision that may be this person's, so that they may not decide again.

        What a substitute decided is a decision of both: of the substitute and the absent person.
        """
        return next((d for d in self.counting_decisions if d.may_be_of(person)), None)


def by_different_people(decisions: Iterable[Decision]) -> list[Decision]:
    """Return the first decision of each person. Names that may be one person's count once."""
    first: dict[str, Decision] = {}
    for decision in decisions:
        first.setdefault(folded(decision.by.id), decision)
    return list(first.values())
