"""Rounds: when a request under a known key repeats an earlier one, and when it asks anew."""

from collections.abc import Iterator
from datetime import datetime

from domain.approvals.commands import (
    RequestApproval,
)
from domain.approvals.policy import same_policy
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.state import Execution
from domain.refusals import Refusal, RefusalCode
from domain.serialization.canonical_json import same

_INVITES_OTHER_CONTENT = frozenset({ApprovalStatus.CHANGES_REQUESTED, ApprovalStatus.REVOKED})


def rounds_of(state: Execution, key: str) -> Iterator[Approval]:
    """Yield the rounds of a key, the latest first."""
    ordinal = state.rounds.get(key, 0)
    while ordinal:
        approval = state.approvals[ordinal]
        yield approval
        ordinal = approval.previous_round


def requested_by(state: Execution, command: RequestApproval) -> Approval | None:
    """Return the latest round with the content of this request, or None.

    Only rounds since the retry after which the last one was requested count: after a retry
    everything is asked anew, also what was asked in a later round before it.
    """
    rounds = list(rounds_of(state, command.key))
    return next(
        (a for a in rounds if a.retry == rounds[0].retry and _same_request(a, command)), None
    )


def repeats_a_round(state: Execution, command: RequestApproval, now: datetime) -> bool:
    """Whether the request was carried out before. If not, it opens the first or the next round.

    After a retry of the execution every request opens a new round, unless the last one was granted.
    Other content opens one as well after changes were requested, the grant was revoked, or it
    lapsed. Raises Refusal with KEY_REUSED for other content at any other time.
    """
    last = next(rounds_of(state, command.key), None)
    if last is None or _opens_after_retry(state, last, now):
        return False
    if requested_by(state, command) is not None:
        return True
    if opens_new_round(state, last, now):
        return False
    message = (
        f"approval {command.key!r} was already requested with other content; "
        "give a different approval its own key"
    )
    raise Refusal(RefusalCode.KEY_REUSED, message)


def opens_new_round(state: Execution, last: Approval, now: datetime) -> bool:
    """Whether some content would open a new round after this one."""
    invites_other_content = last.status in _INVITES_OTHER_CONTENT or last.lapsed(now)
    return invites_other_content or _opens_after_retry(state, last, now)


def _opens_after_retry(state: Execution, last: Approval, now: datetime) -> bool:
    granted = last.status is ApprovalStatus.GRANTED and not last.lapsed(now)
    return state.retried_since(last.retry) and not granted


def _same_request(approval: Approval, command: RequestApproval) -> bool:
    return (
        approval.title == command.title
        and approval.description == command.description
        and approval.requested_payload_digest == command.payload_digest
        and (command.policy.within is not None or approval.deadline == command.deadline)
        and same_policy(approval.policy, command.policy)
        and same(approval.form, command.form)
    )
