"""Decide the commands about approvals: request, decide, withdraw and redeem.

The checks of each function follow the order of refusals that ``domain.execution.decide`` states.
"""

from datetime import datetime

from domain.approvals import amendment, eligibility, quorum, step_up
from domain.approvals.commands import (
    Decide,
    RedeemApproval,
    RequestApproval,
    WithdrawApproval,
)
from domain.approvals.deadline_times import times_of
from domain.approvals.document import document_digest, document_of, instant_json
from domain.approvals.events import (
    ApprovalChangesRequested,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    Decided,
    DecisionContent,
    RequestContent,
)
from domain.approvals.places import place_of
from domain.approvals.rounds import repeats_a_round, rounds_of
from domain.approvals.state import Approval, ApprovalStatus, Decision, Verdict
from domain.execution.event import (
    Event,
    ReasonContent,
)
from domain.execution.events import (
    Events,
    Resumed,
)
from domain.execution.state import Execution
from domain.execution.transitions import check_transition
from domain.identifiers import ApprovalId
from domain.names import may_be_same_person, same_name
from domain.refusals import Refusal, RefusalCode
from domain.serialization.canonical_json import same
from domain.validation import Problem


def request(state: Execution, command: RequestApproval, now: datetime) -> Events:
    """Request an approval. See ``rounds`` for a key that was used before."""
    if repeats_a_round(state, command, now):
        return ()
    check_transition(state, ApprovalRequested)
    _check_not_cancelling(state, "nothing more can be asked")
    if problem := quorum.unmeetable(command.policy):
        raise Refusal(RefusalCode.INVALID_INPUT, problem)
    last = next(rounds_of(state, command.key), None)
    times = times_of(command.policy, command.deadline, command.working_hours, now)
    deadline = None if times.first is None else times.first.deadline
    approval = Approval(
        id=ApprovalId(state.id, len(state.approvals) + 1),
        key=command.key,
        round=1 if last is None else last.round + 1,
        title=command.title,
        description=command.description,
        payload=command.payload,
        payload_digest=command.payload_digest,
        digest="",
        form=command.form,
        policy=command.policy,
        requested_by=command.by.actor,
        requested_at=now,
        requested_version=state.version + 1,
        deadline=deadline,
    )
    return (
        ApprovalRequested(
            ordinal=approval.ordinal,
            key=approval.key,
            round=approval.round,
            policy=approval.policy,
            payload_digest=approval.payload_digest,
            digest=document_digest(document_of(state, approval), command.canonical_payload),
            deadline=deadline,
            reminders=() if times.first is None else times.first.reminders,
            after_escalation=times.escalated,
            content=RequestContent(
                title=command.title,
                description=command.description,
                payload=command.payload,
                form=command.form,
            ),
        ),
    )


_EVENTS: dict[Verdict, type[Decided]] = {
    Verdict.GRANTED: ApprovalGranted,
    Verdict.REJECTED: ApprovalRejected,
    Verdict.CHANGES_REQUESTED: ApprovalChangesRequested,
}


def decide(state: Execution, command: Decide, now: datetime) -> Events:
    """Grant or reject an approval, or request changes.

    The approval is resolved when all requirements are met, or when as many people have refused it
    as its policy allows.
    """
    approval = state.approvals[command.ordinal]
    if decision_repeated(approval, command) is not None:
        return ()
    _check_undecided(approval, command)
    if not approval.pending:
        message = f"approval {approval.id} is already {approval.status}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    event_type = _EVENTS[command.verdict]
    check_transition(state, event_type)
    if objection := next(eligibility.objections(command.by, state, approval), None):
        raise Refusal(RefusalCode.NOT_ELIGIBLE, objection)
    if missing := step_up.missing_login(approval.policy, command.by, now):
        raise Refusal(RefusalCode.STEP_UP_REQUIRED, f"{missing}; log in again and repeat it")
    if command.digest != approval.digest:
        message = (
            f"the document of approval {approval.id} has the digest {approval.digest}, not "
            f"{command.digest}; read the approval again before deciding"
        )
        raise Refusal(RefusalCode.DIGEST_MISMATCH, message)
    if problem := (
        _comment_problem(approval, command)
        or amendment.problem_with(approval, command)
        or _answers_problem(approval, command)
    ):
        raise Refusal(RefusalCode.INVALID_INPUT, problem)
    place = place_of(command.by, state, approval)
    assert place is not None
    amending: Events = ()
    decided = approval
    if command.amended_payload is not None:
        amended = amendment.amend(state, approval, command)
        amending = (amended,)
        decided = amendment.amended(
            approval, amended, command.by.actor, state.updated_at, state.version + 1
        )
    stage = quorum.current_stage(approval)
    decision = Decision(
        verdict=command.verdict,
        by=command.by.actor,
        at=state.updated_at,
        version=state.version + 1 + len(amending),
        digest=decided.digest,
        rule=eligibility.rule_for(place, approval),
        # All of them, because memberships may change later.
        groups=tuple(sorted(place.groups)),
        on_behalf_of=place.on_behalf_of,
        substitution=place.substitution,
        stage=stage,
    )
    resolves = quorum.outcome(decided, decision) is not None
    asks_for_login = approval.policy.asks_for_login
    event = event_type(
        ordinal=approval.ordinal,
        digest=decision.digest,
        rule=decision.rule,
        groups=decision.groups,
        resolves=resolves,
        stage=decision.stage,
        key=command.key,
        acr=command.by.acr if asks_for_login else None,
        auth_time=command.by.auth_time if asks_for_login else None,
        on_behalf_of=None if place.on_behalf_of is None else place.on_behalf_of.id,
        substitution=place.substitution,
        content=DecisionContent(
            comment=command.comment,
            answers=command.answers,
            on_behalf_of_name=None if place.on_behalf_of is None else place.on_behalf_of.name,
        ),
    )
    return (*amending, *(resume_after(state, event) if resolves else (event,)))


def _check_undecided(approval: Approval, command: Decide) -> None:
    """Refuse another decision of a person who decided and whose decision counts."""
    earlier = approval.decision_that_bars(command.by.id)
    if earlier is None:
        return
    if earlier.substitution is not None and not may_be_same_person(earlier.by.id, command.by.id):
        message = (
            f"{earlier.by.id} already decided approval {approval.id} in the place of "
            f"{command.by.id}, as their substitute"
        )
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    if not same_name(earlier.by.id, command.by.id):
        message = (
            f"{earlier.by.id} already decided approval {approval.id}; names that differ only "
            "in case count as one person"
        )
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    amends = earlier.amendment_version or command.amended_payload is not None
    alike = earlier.verdict is command.verdict and not amends
    if alike and earlier.digest == command.digest:
        message = f"{command.by.id} already granted approval {approval.id} with other answers"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    # Of a document that does not stand the caller is told so.
    if not alike or command.digest == approval.digest:
        message = f"{command.by.id} already decided approval {approval.id}: {earlier.verdict}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)


def _comment_problem(approval: Approval, command: Decide) -> Problem:
    if not approval.policy.comment_required or (command.comment or "").strip():
        return None
    return f"comment must not be empty: the policy of approval {approval.id} asks for one"


def _answers_problem(approval: Approval, command: Decide) -> Problem:
    """A grant answers the form of its approval; no other decision does."""
    if command.verdict is not Verdict.GRANTED:
        return None
    if approval.form is None:
        if command.answers is None:
            return None
        return f"answers can't be given: approval {approval.id} has no form; leave them out"
    if command.answers is None:
        return f"answers must be given: approval {approval.id} has a form, and granting answers it"
    return command.check_answers_to(approval.form)


def decision_repeated(approval: Approval, command: Decide) -> Decision | None:
    """Return the decision that the command made before, or None if it is a new one.

    Under a key it is the decision with that key, also if it was taken back. Without one it is the
    person's decision that stands, if it is the same. If it does not count any more, it can be made
    again as soon as the document is the same again, and another key makes it a new decision, which
    is then of a document that does not stand. Raises Refusal with KEY_REUSED for a key that was
    used for another decision.
    """
    decisions = approval.decisions_of(command.by.id)
    if command.key is not None:
        keyed = next((d for d in decisions if d.key == command.key), None)
        if keyed is not None:
            if _same_decision(keyed, command, approval):
                return keyed
            message = (
                f"{command.by.id} used the key {command.key!r} for another decision; "
                "give each decision its own key"
            )
            raise Refusal(RefusalCode.KEY_REUSED, message)
    return next(
        (
            decision
            for decision in decisions
            if decision.stands
            and _same_decision(decision, command, approval)
            and (
                decision.counts
                or (command.digest != approval.digest and not _is_another_call(decision, command))
            )
        ),
        None,
    )


def _is_another_call(decision: Decision, command: Decide) -> bool:
    return None not in {decision.key, command.key} and decision.key != command.key


def _same_decision(decision: Decision, command: Decide, approval: Approval) -> bool:
    """Whether the command asks for what was decided: the same of the document that was seen."""
    amendment_made = approval.amendment_with(decision)
    if amendment_made is None:
        seen, amended = decision.digest, None
    else:
        seen, amended = amendment_made.seen_digest, amendment_made.payload_digest
    return (
        decision.verdict is command.verdict
        and seen == command.digest
        and amended == command.amendment_digest
        and same(decision.answers, command.answers)
    )


def resume_after(state: Execution, resolution: Event) -> Events:
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
    return resume_after(state, withdrawn)


def withdraw_pending(state: Execution, reason: str) -> Events:
    """Withdraw all pending approvals, because the execution ends."""
    return tuple(
        ApprovalWithdrawn(ordinal=approval.ordinal, content=ReasonContent(reason=reason))
        for approval in state.pending_approvals()
    )


def redeem(state: Execution, command: RedeemApproval, now: datetime) -> Events:
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
    _check_not_cancelling(state, "nothing more can be redeemed")
    if approval.lapsed(now):
        assert approval.valid_until is not None
        message = (
            f"the grant of approval {approval.id} could be redeemed until "
            f"{instant_json(approval.valid_until)}; request it again"
        )
        raise Refusal(RefusalCode.LAPSED, message)
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


def _check_not_cancelling(state: Execution, what: str) -> None:
    if state.cancelling:
        message = f"execution {state.id} is being cancelled: {what}, it only cleans up"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
