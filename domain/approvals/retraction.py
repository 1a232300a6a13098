"""Taking back one's own decision while the approval is pending."""

from msgspec.structs import replace

from domain.approvals.commands import (
    RetractDecision,
)
from domain.approvals.events import (
    DecisionContent,
    DecisionRetracted,
)
from domain.approvals.evolve import approval_with, with_approval
from domain.approvals.state import Approval
from domain.execution.events import (
    Events,
    Recorded,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import check_transition
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode


def retract(state: Execution, command: RetractDecision) -> Events:
    """Take back the caller's decision. It is a repeat if that was done already."""
    approval = state.approvals[command.ordinal]
    decisions = approval.decisions_of(command.by.id)
    if decisions and not decisions[-1].stands:
        return ()
    if not approval.pending:
        message = f"approval {approval.id} is already {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    if not decisions:
        message = f"{command.by.id} has not decided approval {approval.id}"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    check_transition(state, DecisionRetracted)
    return (
        DecisionRetracted(
            ordinal=approval.ordinal,
            decision_version=decisions[-1].version,
            content=DecisionContent(comment=command.comment),
        ),
    )


def retracted(state: Execution, recorded: Recorded, event: DecisionRetracted) -> Changes:
    """Mark the decision as taken back."""
    approval = approval_with(state, event.ordinal)
    _check_retractable(approval, event.decision_version)
    decisions = tuple(
        replace(decision, retracted_at=recorded.at, retracted_version=recorded.version)
        if decision.version == event.decision_version
        else decision
        for decision in approval.decisions
    )
    changed = replace(approval, decisions=decisions)
    return with_approval(state, changed)


def _check_retractable(approval: Approval, version: int) -> None:
    if not any(d.version == version and d.stands for d in approval.decisions):
        msg = f"approval {approval.id} has no decision at version {version} that stands"
        raise IllegalTransitionError(msg)
