"""Apply the events about approvals to the state of their execution.

Each function returns the fields of the execution that change.
"""

from msgspec.structs import replace

from domain.approvals.policy import ExpiryAction
from domain.approvals.state import Approval, ApprovalStatus, Decision, ResolutionCause, Verdict
from domain.execution.events import (
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    Recorded,
)
from domain.execution.state import Changes, Execution
from domain.identifiers import ApprovalId
from domain.refusals import IllegalTransitionError
from domain.values import Actor


def requested(state: Execution, recorded: Recorded, event: ApprovalRequested) -> Changes:
    """Add a pending approval."""
    if event.ordinal != len(state.approvals) + 1:
        msg = f"approval {event.ordinal} of {state.id} is out of order"
        raise IllegalTransitionError(msg)
    approval = Approval(
        id=ApprovalId(state.id, event.ordinal),
        key=event.key,
        round=event.round,
        title=event.content.title,
        description=event.content.description,
        payload=event.content.payload,
        payload_digest=event.payload_digest,
        digest=event.digest,
        form=event.content.form,
        policy=event.policy,
        requested_by=recorded.actor,
        requested_at=recorded.at,
        requested_version=recorded.version,
        deadline=event.deadline,
        retry=len(state.retried_from),
    )
    return {
        "approvals": state.approvals.insert(event.ordinal, approval),
        "rounds": state.rounds.insert(event.key, event.ordinal),
        "pending": state.pending + 1,
    }


def decided(
    state: Execution, recorded: Recorded, event: ApprovalGranted | ApprovalRejected
) -> Changes:
    """Add a decision, and resolve the approval if the event says so."""
    granted = isinstance(event, ApprovalGranted)
    approval = _approval(state, event.ordinal)
    decision = Decision(
        verdict=Verdict.GRANTED if granted else Verdict.REJECTED,
        by=recorded.actor,
        at=recorded.at,
        version=recorded.version,
        digest=event.digest,
        rule=event.rule,
        groups=event.groups,
        on_behalf_of=_stood_in_for(event),
        comment=event.content.comment,
        answers=event.content.answers,
    )
    approval = replace(approval, decisions=(*approval.decisions, decision))
    if not event.resolves:
        return {"approvals": state.approvals.insert(event.ordinal, approval)}
    status = ApprovalStatus.GRANTED if granted else ApprovalStatus.REJECTED
    return _resolve(state, recorded, approval, status, ResolutionCause.DECISIONS)


def _stood_in_for(event: ApprovalGranted | ApprovalRejected) -> Actor | None:
    if event.on_behalf_of is None:
        return None
    return Actor(id=event.on_behalf_of, name=event.content.on_behalf_of_name)


def withdrawn(state: Execution, recorded: Recorded, event: ApprovalWithdrawn) -> Changes:
    """Resolve the approval as withdrawn."""
    return _resolve(
        state,
        recorded,
        _approval(state, event.ordinal),
        ApprovalStatus.WITHDRAWN,
        ResolutionCause.WITHDRAWAL,
    )


def expired(state: Execution, recorded: Recorded, event: ApprovalExpired) -> Changes:
    """Resolve the approval as its policy says for a missed deadline."""
    granted = event.action is ExpiryAction.GRANT
    return _resolve(
        state,
        recorded,
        _approval(state, event.ordinal),
        ApprovalStatus.GRANTED if granted else ApprovalStatus.EXPIRED,
        ResolutionCause.EXPIRY,
    )


def delegated(state: Execution, recorded: Recorded, event: ApprovalDelegated) -> Changes:
    """Record that the actor handed the right to decide to another person."""
    approval = _approval(state, event.ordinal)
    delegation = (recorded.actor.id, event.to)
    changed = replace(approval, delegations=(*approval.delegations, delegation))
    return {"approvals": state.approvals.insert(event.ordinal, changed)}


def escalated(state: Execution, event: ApprovalEscalated) -> Changes:
    """Add groups that may decide from now on."""
    approval = _approval(state, event.ordinal)
    changed = replace(approval, escalated_to=(*approval.escalated_to, *event.groups))
    return {"approvals": state.approvals.insert(event.ordinal, changed)}


def resumed(state: Execution) -> Changes:
    """Check that no approval is pending. Only the execution's state changes."""
    if state.pending:
        msg = f"{state.id} can't resume with {state.pending} approvals pending"
        raise IllegalTransitionError(msg)
    return {}


def redeemed(state: Execution, recorded: Recorded, event: ApprovalRedeemed) -> Changes:
    """Record that the granted approval was used."""
    approval = _approval(state, event.ordinal, ApprovalStatus.GRANTED)
    if approval.redemption_key is not None:
        msg = f"approval {event.ordinal} of {state.id} was redeemed already"
        raise IllegalTransitionError(msg)
    redeemed = replace(
        approval,
        redeemed_at=recorded.at,
        redeemed_version=recorded.version,
        redemption_key=event.redemption_key,
    )
    return {"approvals": state.approvals.insert(event.ordinal, redeemed)}


def _resolve(
    state: Execution,
    recorded: Recorded,
    approval: Approval,
    status: ApprovalStatus,
    cause: ResolutionCause,
) -> Changes:
    """Resolve the approval, which gives a waiting worker something to do."""
    resolved = replace(
        approval,
        status=status,
        resolution=cause,
        resolved_at=recorded.at,
        resolved_version=recorded.version,
    )
    return {
        "approvals": state.approvals.insert(approval.ordinal, resolved),
        "pending": state.pending - 1,
        "woken_version": recorded.version,
    }


def _approval(
    state: Execution, ordinal: int, status: ApprovalStatus = ApprovalStatus.PENDING
) -> Approval:
    """Return the approval, which must have this status."""
    approval = state.approvals.get(ordinal)
    if approval is None or approval.status is not status:
        stands = "is missing" if approval is None else f"is {approval.status}"
        msg = f"approval {ordinal} of {state.id} {stands}, not {status}"
        raise IllegalTransitionError(msg)
    return approval
