"""Apply the events about approvals to the state of their execution.

Each function returns the fields of the execution that change.
"""

from msgspec.structs import replace

from domain.approvals import amendment
from domain.approvals.events import (
    ApprovalAmended,
    ApprovalChangesRequested,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    Decided,
)
from domain.approvals.state import Approval, ApprovalStatus, Decision, ResolutionCause, Verdict
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Recorded,
)
from domain.execution.state import Changes, Execution
from domain.identifiers import ApprovalId
from domain.refusals import IllegalTransitionError
from domain.values import Actor


def requested(state: Execution, recorded: Recorded, event: ApprovalRequested) -> Changes:
    """Add a pending approval."""
    _check_not_cancelling(state)
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
        reminders_due=event.reminders,
        after_escalation=event.after_escalation,
        retry=len(state.retried_from),
        previous_round=state.rounds.get(event.key, 0),
    )
    return {
        **with_approval(state, approval),
        "rounds": state.rounds.insert(event.key, event.ordinal),
        "pending": state.pending + 1,
    }


_VERDICTS: dict[type[Event], Verdict] = {
    ApprovalGranted: Verdict.GRANTED,
    ApprovalRejected: Verdict.REJECTED,
    ApprovalChangesRequested: Verdict.CHANGES_REQUESTED,
}


def decided(state: Execution, recorded: Recorded, event: Decided) -> Changes:
    """Add a decision, and resolve the approval if the event says so."""
    before = approval_with(state, event.ordinal)
    amended_version = before.amendments[-1].version if before.amendments else 0
    decision = Decision(
        verdict=_VERDICTS[type(event)],
        by=_decided_by(recorded, event),
        at=recorded.at,
        version=recorded.version,
        digest=event.digest,
        rule=event.rule,
        groups=event.groups,
        all_groups_known=event.all_groups_known,
        on_behalf_of=_stood_in_for(event),
        comment=event.content.comment,
        answers=event.content.answers,
        stage=event.stage,
        key=event.key,
        amendment_version=amended_version if amended_version == recorded.version - 1 else 0,
        standing_grant_id=event.standing_grant_id,
        acr=event.acr,
        auth_time=event.auth_time,
        substitution=event.substitution,
    )
    approval = replace(before, decisions=(*before.decisions, decision))
    if not event.resolves:
        return with_approval(state, approval)
    return resolve(state, recorded, approval, _status_after(approval), ResolutionCause.DECISIONS)


def amended(state: Execution, recorded: Recorded, event: ApprovalAmended) -> Changes:
    """Change the payload. The grant that comes with it is the event that follows."""
    before = approval_with(state, event.ordinal)
    after = amendment.amended(before, event, recorded.actor, recorded.at, recorded.version)
    return with_approval(state, after)


def _status_after(approval: Approval) -> ApprovalStatus:
    """Return the status that the last decision, which resolves the approval, gives it."""
    counting = approval.counting_decisions
    if counting[-1].verdict is Verdict.GRANTED:
        return ApprovalStatus.GRANTED
    if any(decision.verdict is Verdict.CHANGES_REQUESTED for decision in counting):
        return ApprovalStatus.CHANGES_REQUESTED
    return ApprovalStatus.REJECTED


def _decided_by(recorded: Recorded, event: Decided) -> Actor:
    if event.decided_by is None:
        return recorded.actor
    return Actor(id=event.decided_by, name=event.content.decided_by_name)


def _stood_in_for(event: Decided) -> Actor | None:
    if event.on_behalf_of is None:
        return None
    return Actor(id=event.on_behalf_of, name=event.content.on_behalf_of_name)


def withdrawn(state: Execution, recorded: Recorded, event: ApprovalWithdrawn) -> Changes:
    """Resolve the approval as withdrawn."""
    return resolve(
        state,
        recorded,
        approval_with(state, event.ordinal),
        ApprovalStatus.WITHDRAWN,
        ResolutionCause.WITHDRAWAL,
    )


def resumed(state: Execution) -> Changes:
    """Check that no approval is pending. Only the execution's state changes."""
    if state.pending:
        msg = f"{state.id} can't resume with {state.pending} approvals pending"
        raise IllegalTransitionError(msg)
    return {}


def redeemed(state: Execution, recorded: Recorded, event: ApprovalRedeemed) -> Changes:
    """Record that the granted approval was used."""
    _check_not_cancelling(state)
    approval = approval_with(state, event.ordinal, ApprovalStatus.GRANTED)
    if approval.redemption_key is not None:
        msg = f"approval {event.ordinal} of {state.id} was redeemed already"
        raise IllegalTransitionError(msg)
    redeemed = replace(
        approval,
        redeemed_at=recorded.at,
        redeemed_version=recorded.version,
        redemption_key=event.redemption_key,
    )
    return with_approval(state, redeemed)


def resolve(
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
        **with_approval(state, resolved),
        "pending": state.pending - 1,
        "woken_version": recorded.version,
    }


def with_approval(state: Execution, approval: Approval) -> Changes:
    """Put the approval into the state, and note when something is due for it."""
    changes: Changes = {"approvals": state.approvals.insert(approval.ordinal, approval)}
    due_at = approval.next_due
    if due_at != state.deadlines.get(approval.ordinal):
        changes["deadlines"] = (
            state.deadlines.discard(approval.ordinal)
            if due_at is None
            else state.deadlines.insert(approval.ordinal, due_at)
        )
    return changes


def known_approval(state: Execution, ordinal: int) -> Approval:
    """Return the approval. Raises IllegalTransitionError if there is none."""
    approval = state.approvals.get(ordinal)
    if approval is None:
        msg = f"approval {ordinal} of {state.id} is missing"
        raise IllegalTransitionError(msg)
    return approval


def approval_with(
    state: Execution, ordinal: int, status: ApprovalStatus = ApprovalStatus.PENDING
) -> Approval:
    """Return the approval. Raises IllegalTransitionError if it does not have this status."""
    approval = known_approval(state, ordinal)
    if approval.status is not status:
        msg = f"approval {ordinal} of {state.id} is {approval.status}, not {status}"
        raise IllegalTransitionError(msg)
    return approval


def _check_not_cancelling(state: Execution) -> None:
    if state.cancelling:
        msg = f"{state.id} is being cancelled, so no approval is requested or redeemed"
        raise IllegalTransitionError(msg)
