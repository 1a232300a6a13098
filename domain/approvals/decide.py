"""Decide the commands about approvals: request, decide, withdraw and redeem.

The checks of each function follow the order of refusals that ``domain.execution.decide`` states.
"""

from domain.approvals import eligibility, quorum
from domain.approvals.document import document_digest, document_of
from domain.approvals.policy import same_policy
from domain.approvals.state import Approval, ApprovalStatus, Decision, Verdict
from domain.execution.commands import Decide, RedeemApproval, RequestApproval, WithdrawApproval
from domain.execution.events import (
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    DecisionContent,
    Event,
    Events,
    ReasonContent,
    RequestContent,
    Resumed,
)
from domain.execution.state import Execution
from domain.execution.transitions import check_transition
from domain.identifiers import ApprovalId
from domain.names import same_name
from domain.refusals import Refusal, RefusalCode


def request(state: Execution, command: RequestApproval) -> Events:
    """Request an approval. A key that was used before is a repeat, or opens a new round."""
    latest = state.rounds.get(command.key)
    last = None if latest is None else state.approvals[latest]
    if last is not None and not _opens_new_round(state, last):
        if not _same_request(last, command):
            message = (
                f"approval {command.key!r} was already requested with other content; "
                "give a different approval its own key"
            )
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, ApprovalRequested)
    approval = Approval(
        id=ApprovalId(state.id, len(state.approvals) + 1),
        key=command.key,
        round=1 if last is None else last.round + 1,
        title=command.title,
        description=command.description,
        payload=command.payload,
        payload_digest=command.payload_digest,
        digest="",
        policy=command.policy,
        requested_by=command.by.actor,
        requested_at=state.updated_at,
        requested_version=state.version + 1,
    )
    return (
        ApprovalRequested(
            ordinal=approval.ordinal,
            key=approval.key,
            round=approval.round,
            policy=approval.policy,
            payload_digest=approval.payload_digest,
            digest=document_digest(document_of(state, approval), command.canonical_payload),
            content=RequestContent(
                title=command.title, description=command.description, payload=command.payload
            ),
        ),
    )


def _opens_new_round(state: Execution, last: Approval) -> bool:
    """A request after a retry opens a new round, unless the last round was granted."""
    return state.retried_since(last.retry) and last.status is not ApprovalStatus.GRANTED


def _same_request(approval: Approval, command: RequestApproval) -> bool:
    return (
        approval.title == command.title
        and approval.description == command.description
        and approval.payload_digest == command.payload_digest
        and same_policy(approval.policy, command.policy)
    )


def decide(state: Execution, command: Decide) -> Events:
    """Grant or reject an approval.

    The approval is resolved when all requirements are met, or when as many people have rejected it
    as its policy allows.
    """
    approval = state.approvals[command.ordinal]
    earlier = approval.decision_that_bars(command.by.id)
    if earlier is not None:
        if not same_name(earlier.by.id, command.by.id):
            message = (
                f"{earlier.by.id} already decided approval {approval.id}; names that differ only "
                "in case count as one person"
            )
            raise Refusal(RefusalCode.ALREADY_DECIDED, message)
        if (earlier.verdict, earlier.digest) == (command.verdict, command.digest):
            return ()
        if earlier.verdict is not command.verdict:
            message = f"{command.by.id} already decided approval {approval.id}: {earlier.verdict}"
            raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    if not approval.pending:
        message = f"approval {approval.id} is already {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    granting = command.verdict is Verdict.GRANTED
    event_type = ApprovalGranted if granting else ApprovalRejected
    check_transition(state, event_type)
    if objection := next(eligibility.objections(command.by, state, approval), None):
        raise Refusal(RefusalCode.NOT_ELIGIBLE, objection)
    if command.digest != approval.digest:
        message = (
            f"the document of approval {approval.id} has the digest {approval.digest}, not "
            f"{command.digest}; read the approval again before deciding"
        )
        raise Refusal(RefusalCode.DIGEST_MISMATCH, message)
    rule = eligibility.rule_for(command.by, approval)
    groups = eligibility.counted_groups(command.by, approval)
    decision = Decision(
        verdict=command.verdict,
        by=command.by.actor,
        at=state.updated_at,
        version=state.version + 1,
        digest=command.digest,
        rule=rule,
        groups=groups,
    )
    resolves = quorum.resolves(approval, decision)
    event = event_type(
        ordinal=approval.ordinal,
        digest=command.digest,
        rule=rule,
        groups=groups,
        resolves=resolves,
        content=DecisionContent(comment=command.comment),
    )
    return _resume_after(state, event) if resolves else (event,)


def _resume_after(state: Execution, resolution: Event) -> Events:
    """Resume the execution if this was its last pending approval.

    Both events are in one commit, so no reader sees the one without the other.
    """
    return (resolution, Resumed()) if state.pending == 1 else (resolution,)


def withdraw(state: Execution, command: WithdrawApproval) -> Events:
    """Withdraw a pending approval."""
    approval = state.approvals[command.ordinal]
    if approval.status is ApprovalStatus.WITHDRAWN:
        return ()
    if not approval.pending:
        message = f"approval {approval.id} is already {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    check_transition(state, ApprovalWithdrawn)
    withdrawn = ApprovalWithdrawn(
        ordinal=approval.ordinal, content=ReasonContent(reason=command.reason)
    )
    return _resume_after(state, withdrawn)


def withdraw_pending(state: Execution, reason: str) -> Events:
    """Withdraw all pending approvals, because the execution ends."""
    return tuple(
        ApprovalWithdrawn(ordinal=approval.ordinal, content=ReasonContent(reason=reason))
        for approval in state.pending_approvals()
    )


def redeem(state: Execution, command: RedeemApproval) -> Events:
    """Redeem a granted approval, once and under one key, for exactly what was granted."""
    approval = state.approvals[command.ordinal]
    if approval.redemption_key is not None:
        if approval.redemption_key != command.redemption_key:
            message = f"approval {approval.id} was already redeemed under another key"
            raise Refusal(RefusalCode.ALREADY_REDEEMED, message)
        if approval.payload_digest != command.payload_digest:
            message = (
                f"approval {approval.id} was already redeemed under this key, "
                "with another payload digest"
            )
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    if approval.status is not ApprovalStatus.GRANTED:
        message = (
            f"approval {approval.id} is {approval.status}; only a granted approval can be redeemed"
        )
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    check_transition(state, ApprovalRedeemed)
    if approval.payload_digest != command.payload_digest:
        message = (
            f"approval {approval.id} was granted for the payload digest "
            f"{approval.payload_digest}, not {command.payload_digest}"
        )
        raise Refusal(RefusalCode.DIGEST_MISMATCH, message)
    return (
        ApprovalRedeemed(
            ordinal=approval.ordinal,
            payload_digest=command.payload_digest,
            redemption_key=command.redemption_key,
        ),
    )
