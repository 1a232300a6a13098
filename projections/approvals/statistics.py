"""What becomes of approvals, in numbers that stay few however many approvals there are.

A row of ``approval_days`` counts the approvals of one workflow that ended in one way on one day,
after about the same time. The times are in buckets, each a quarter longer than the one before, so a
percentile is right to within 12% (DDSketch, Masson et al., VLDB 2019, has the same buckets).
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from domain.approvals.quorum import current_stage, outstanding
from domain.approvals.state import Approval, ApprovalStatus
from domain.names import normal

GROWTH = 1.25
LEAST = timedelta(milliseconds=1)

GRANTED = "GRANTED"
REJECTED = "REJECTED"
CHANGES_REQUESTED = "CHANGES_REQUESTED"
EXPIRED = "EXPIRED"
GRANTED_BY_EXPIRY = "GRANTED_BY_EXPIRY"
ESCALATED = "ESCALATED"
"""An escalation is counted on its day too, beside how the approval ends later."""

BY_PEOPLE = (GRANTED, REJECTED, CHANGES_REQUESTED)


class Ending(NamedTuple):
    """How an approval ended, on which day in UTC, and the bucket of the time that it took."""

    outcome: str
    day: date
    took: int


def ending_of(approval: Approval) -> Ending | None:
    """Return how an approval ended; None if it waits or was withdrawn.

    A grant that was revoked later was a grant all the same, on its own day.
    """
    if approval.resolved_at is None or approval.status is ApprovalStatus.WITHDRAWN:
        return None
    outcome = approval.status.value
    if approval.status in {ApprovalStatus.GRANTED, ApprovalStatus.REVOKED}:
        outcome = GRANTED_BY_EXPIRY if outstanding(approval) else GRANTED
    # Not the time of the resolution, which a revocation replaces.
    at = (
        max((each.at for each in approval.counting_decisions), default=approval.resolved_at)
        if outcome in BY_PEOPLE
        else approval.current_deadline or approval.resolved_at
    )
    return Ending(outcome, _day(at), bucket_of(at - approval.requested_at))


def escalation_day(approval: Approval) -> date | None:
    """Return the day in UTC on which the approval was escalated, None if it was not."""
    return None if approval.escalated_at is None else _day(approval.escalated_at)


def asked_groups(approval: Approval) -> str:
    """Return the groups that it waits for now, in normal form, sorted, as JSON."""
    if not approval.pending:
        return "[]"
    stage = current_stage(approval)
    asked = [r.groups for r in approval.policy.requirements if r.stage == stage]
    names = {normal(name) for groups in (*asked, approval.escalated_to) for name in groups}
    return json.dumps(sorted(names), ensure_ascii=False)


def bucket_of(span: timedelta) -> int:
    """Return the bucket of a time."""
    return math.floor(math.log(max(span, LEAST).total_seconds(), GROWTH))


def middle_of(bucket: int) -> timedelta:
    """Return the time in the middle of a bucket, from which none in it differs by 12%."""
    return timedelta(seconds=GROWTH ** (bucket + 0.5))


def percentile(counts: Mapping[int, int], share: float) -> timedelta | None:
    """Return a percentile by nearest rank of counts by bucket; None if there are none."""
    total = sum(counts.values())
    rank = math.ceil(share * total)
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0 < total:
            return middle_of(bucket)
    return None


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()
