"""What is kept of a decision, for lists of decisions of many approvals."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain.approvals.asking import asked_at
from domain.approvals.state import Approval, ApprovalStatus, Decision, Verdict
from domain.authorization import SERVICE
from domain.execution.state import Execution
from domain.identifiers import ApprovalId
from domain.names import normal
from domain.refusals import DamagedEventError
from domain.values import Actor

DEADLINE_RULE = "deadline"
"""The rule of a grant that the policy gives at the deadline, without a person."""


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A decision, recorded at ``version`` of its execution.

    ``groups`` are all groups that are recorded of the person, ``asked_groups`` those of them that
    the policy asks, or to which the approval was escalated. ``asked_at`` is since when the person
    could decide. ``status`` is that of the approval now. ``by`` is the service itself for a grant
    at the deadline. ``superseded``: it is a grant, and the payload was amended since.
    """

    execution_id: UUID
    ordinal: int
    version: int
    workflow: str
    key: str
    round: int
    title: str | None = None
    verdict: Verdict
    by: Actor
    on_behalf_of: Actor | None = None
    groups: tuple[str, ...] = ()
    asked_groups: tuple[str, ...] = ()
    rule: str
    stage: int = 1
    comment: str | None = None
    asked_at: datetime
    decided_at: datetime
    retracted_at: datetime | None = None
    superseded: bool = False
    standing_grant_id: UUID | None = None
    status: ApprovalStatus
    revoked_at: datetime | None = None

    @property
    def approval_id(self) -> ApprovalId:
        """The id of the approval that it is about."""
        return ApprovalId(self.execution_id, self.ordinal)

    @property
    def took(self) -> timedelta:
        """The time from when the person could decide until they did."""
        return max(self.decided_at - self.asked_at, timedelta(0))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DecisionRecord).decode


def encode_record(record: DecisionRecord) -> bytes:
    """Return the JSON bytes of a record."""
    return _encode(record)


def decode_record(data: bytes) -> DecisionRecord:
    """Read a stored record. Raises DamagedEventError for bytes that are not one."""
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        msg = f"a stored decision can't be read: {error}"
        raise DamagedEventError(msg) from error


def records_of(execution: Execution, approval: Approval) -> Iterator[DecisionRecord]:
    """Yield all decisions about an approval, also those that were taken back.

    A grant at the deadline is one too. A deadline that only ends the approval decides nothing.
    """
    for decision in approval.decisions:
        yield _record(
            execution,
            approval,
            version=decision.version,
            verdict=decision.verdict,
            by=decision.by,
            on_behalf_of=decision.on_behalf_of,
            groups=decision.groups,
            asked_groups=_asked_groups(approval, decision),
            rule=decision.rule,
            stage=decision.stage,
            comment=decision.comment,
            asked_at=asked_at(approval, decision),
            decided_at=decision.at,
            retracted_at=decision.retracted_at,
            superseded=decision.superseded_version > 0,
            standing_grant_id=decision.standing_grant_id,
        )
    if (grant := approval.expiry_grant) is not None:
        yield _record(
            execution,
            approval,
            version=grant.version,
            verdict=Verdict.GRANTED,
            by=SERVICE.actor,
            rule=DEADLINE_RULE,
            asked_at=approval.requested_at,
            decided_at=grant.at,
        )


def _record(execution: Execution, approval: Approval, **decided: object) -> DecisionRecord:
    revoked = approval.status is ApprovalStatus.REVOKED
    return DecisionRecord(
        execution_id=execution.id,
        ordinal=approval.ordinal,
        workflow=execution.workflow,
        key=approval.key,
        round=approval.round,
        title=approval.title,
        status=approval.status,
        revoked_at=approval.resolved_at if revoked else None,
        **decided,  # type: ignore[arg-type]
    )


def _asked_groups(approval: Approval, decision: Decision) -> tuple[str, ...]:
    named = {
        group
        for each in approval.policy.requirements
        for group in each.named_groups(decision.groups)
    }
    return tuple(sorted(named | approval.escalation_groups(map(normal, decision.groups))))
