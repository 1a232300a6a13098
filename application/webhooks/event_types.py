"""Which events webhooks get, under which type of CloudEvents 1.0.

A type ends in the version of the body's ``data``. A field that is added does not change it.
"""

from typing import Any

from domain.approvals import events
from domain.approvals.state import Approval
from domain.execution.event import Event

TYPES: dict[type[Event], str] = {
    events.ApprovalRequested: "placet.approval.requested.v1",
    events.ApprovalGranted: "placet.approval.granted.v1",
    events.ApprovalRejected: "placet.approval.rejected.v1",
    events.ApprovalChangesRequested: "placet.approval.changes-requested.v1",
    events.ApprovalAmended: "placet.approval.amended.v1",
    events.DecisionRetracted: "placet.approval.decision-retracted.v1",
    events.ApprovalExpired: "placet.approval.expired.v1",
    events.ApprovalEscalated: "placet.approval.escalated.v1",
    events.ApprovalReminded: "placet.approval.reminded.v1",
    events.ApprovalWithdrawn: "placet.approval.withdrawn.v1",
    events.ApprovalRevoked: "placet.approval.revoked.v1",
    events.ApprovalRedeemed: "placet.approval.redeemed.v1",
    events.ApprovalCommented: "placet.approval.commented.v1",
    events.ApprovalDelegated: "placet.approval.delegated.v1",
    events.DelegationTakenBack: "placet.approval.delegation-taken-back.v1",
    events.ApprovalClaimed: "placet.approval.claimed.v1",
    events.ApprovalUnclaimed: "placet.approval.unclaimed.v1",
}
"""All events about an approval, in the order of the documentation."""

TEST_TYPE = "placet.webhook.test.v1"
"""The type of the message that an administrator sends to try a webhook."""


def type_of(event: Event) -> str | None:
    """Return the type under which webhooks get the event, None if they don't get it."""
    return TYPES.get(type(event))


def ordinal_of(event: Any) -> int:
    """Return the ordinal of the approval that an event in ``TYPES`` is about."""
    ordinal: int = event.ordinal
    return ordinal


def groups_of(approval: Approval) -> list[str]:
    """Return the groups that the policy names, and those to which it was escalated, sorted."""
    named = {group for one in approval.policy.requirements for group in one.groups}
    return sorted(named.union(approval.escalated_to))
