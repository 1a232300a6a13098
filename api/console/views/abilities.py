"""What a viewer can do on the page of an approval beside deciding, by the rules of the domain."""

from datetime import datetime

import msgspec

from api.console.views.approvals import name_of
from domain import authorization
from domain.approvals import eligibility, revocation
from domain.approvals.events import ApprovalRevoked
from domain.approvals.places import decided_through
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.state import Execution
from domain.execution.transitions import allowed
from domain.names import same_name
from domain.values import Principal


class HandedOver(msgspec.Struct, frozen=True, kw_only=True):
    """A delegation. ``mine``: by the viewer, who can take it back now."""

    by: str
    to: str
    at: datetime
    comment: str | None
    taken_back: bool
    mine: bool


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done now. ``on_it`` has said so last, ``since``; ``mine``: that is the viewer."""

    hand_over: bool
    delegations: list[HandedOver]
    revoke: bool
    claim: bool
    on_it: str | None
    since: datetime | None
    mine: bool


def abilities_of(
    execution: Execution, approval: Approval, viewer: Principal, now: datetime
) -> Abilities:
    """Return what the viewer can do with an approval."""
    decides = authorization.may_decide(viewer)
    claimant = approval.claimant(now) if approval.pending else None
    undecided = approval.pending and approval.decision_that_bars(viewer.id) is None
    eligible = not any(eligibility.objections(viewer, execution, approval))
    return Abilities(
        hand_over=undecided and eligible,
        delegations=_delegations(approval, viewer, decides=decides),
        revoke=_may_revoke(execution, approval, viewer),
        claim=decides and approval.pending,
        on_it=None if claimant is None else name_of(claimant),
        since=None if claimant is None else approval.claimed_at,
        mine=claimant is not None and same_name(claimant.id, viewer.id),
    )


def _delegations(approval: Approval, viewer: Principal, *, decides: bool) -> list[HandedOver]:
    free = decides and approval.pending and decided_through(viewer.id, approval) is None
    return [
        HandedOver(
            by=name_of(one.by),
            to=name_of(one.to),
            at=one.at,
            comment=one.comment,
            taken_back=not one.stands,
            mine=free and one.stands and same_name(one.by.id, viewer.id),
        )
        for one in approval.delegations
    ]


def _may_revoke(execution: Execution, approval: Approval, viewer: Principal) -> bool:
    return (
        approval.status is ApprovalStatus.GRANTED
        and not approval.redeemed_version
        and allowed(execution.state, ApprovalRevoked)
        and authorization.may_revoke(viewer)
        and revocation.objection_to(viewer, approval) is None
    )
