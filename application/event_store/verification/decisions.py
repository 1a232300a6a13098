"""The decisions about approvals, against the policy that was frozen when each was requested.

They are checked by the rules that decided them: ``eligibility`` and ``quorum``. Who was in which
group is not in the log; what counts is the groups that the decision recorded.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from application.event_store.verification import deadlines
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.deadlines import KIND, POLICY
from application.event_store.verification.findings import Finding
from domain.approvals import amendment, delegation, eligibility, quorum, step_up
from domain.approvals.document import document_digest, document_of
from domain.approvals.events import (
    ApprovalChangesRequested,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevoked,
    Decided,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.approvals.forms import check_answers, check_form
from domain.approvals.places import place_of
from domain.approvals.rounds import opens_new_round
from domain.approvals.state import Approval
from domain.execution.events import (
    Cancelled,
    Failed,
    Resumed,
)
from domain.execution.state import Execution
from domain.names import normal, normal_set, same_name
from domain.serialization.canonical_json import canonical, digest
from domain.values import Absence, Actor, ExecutionState, Principal, Role

_DIGEST = "what people saw and what was recorded are not the same"
_AFTER_THE_LAST = (Resumed, Failed, Cancelled)


class DecisionsAudit(Audit):
    """Requests, decisions, resolutions and redemptions."""

    def __init__(self) -> None:
        self._requests = self._decisions = self._redemptions = 0
        self._checks: dict[type[Any], Callable[[Step], Iterable[Finding]]] = {
            ApprovalRequested: self._requested,
            ApprovalGranted: self._decided,
            ApprovalRejected: self._decided,
            ApprovalChangesRequested: self._decided,
            DecisionRetracted: _retracted,
            ApprovalRevoked: _revoked,
            ApprovalRedeemed: self._redeemed,
            ApprovalExpired: deadlines.expired,
            ApprovalDelegated: _delegated,
            DelegationTakenBack: _taken_back,
            ApprovalEscalated: deadlines.escalated,
            ApprovalReminded: deadlines.reminded,
            Failed: _ended,
            Cancelled: _ended,
        }

    def event(self, step: Step) -> Iterable[Finding]:
        event = step.event.recorded.event
        before = step.before
        if before is not None and _all_resolved(before) and not _settles(step):
            return [_not_resumed(step), *self._check(step, type(event))]
        return self._check(step, type(event))

    def _check(self, step: Step, event_type: type[Any]) -> Iterable[Finding]:
        check = self._checks.get(event_type)
        return NOTHING if check is None else list(check(step))

    def ended(self, stream: Stream) -> Iterable[Finding]:
        if stream.head is None or not _all_resolved(stream.head.execution):
            return NOTHING
        message = "its last approval is resolved, but it does not resume"
        return [stream.finding(KIND, message, "the event Resumed of the same commit was removed")]

    def checked(self) -> Iterable[str]:
        yield (
            f"{self._requests} requests for approval: the digests of payload and document, the "
            "round, and that the policy asks for somebody"
        )
        yield (
            f"{self._decisions} decisions against the frozen policy: digest, eligibility by user "
            "or recorded group, stage, delegation, four eyes, the login that it asks for, one "
            "decision a person, quorum, the answers to the form; and that the execution resumes "
            "exactly when its last approval is resolved"
        )
        yield f"{self._redemptions} redemptions: once, with the payload that was granted"

    def _requested(self, step: Step) -> Iterator[Finding]:
        self._requests += 1
        event = step.event.recorded.event
        assert isinstance(event, ApprovalRequested)
        assert step.before is not None
        execution = step.head.execution
        approval = execution.approvals[event.ordinal]
        try:
            payload = canonical(approval.payload)
            document = document_digest(document_of(execution, approval), payload)
        except ValueError as error:
            yield step.finding(KIND, f"the document has no canonical JSON: {error}", _DIGEST)
            return
        if digest(payload) != approval.payload_digest:
            yield step.finding(KIND, "the payload does not match its digest", _DIGEST)
        if document != approval.digest:
            yield step.finding(KIND, "the document does not match its digest", _DIGEST)
        policy = approval.policy
        if policy.rejections < 1 or not policy.requirements or _asks_nobody(approval):
            message = "the policy asks for nobody's agreement"
            yield step.finding(KIND, message, "no server takes such a policy")
        if approval.form is not None and (problem := check_form(approval.form)):
            yield step.finding(KIND, problem, "no server takes such a form")
        yield from _round_flaws(step, step.before, approval)
        yield from deadlines.requested(step, approval)

    def _decided(self, step: Step) -> Iterator[Finding]:
        self._decisions += 1
        event = step.event.recorded.event
        assert isinstance(event, Decided)
        execution = step.before
        assert execution is not None
        approval = execution.approvals[event.ordinal]
        decision = step.head.execution.approvals[event.ordinal].decisions[-1]
        actor = decision.by
        if event.digest != approval.digest:
            message = "the decision names another document than the requested one"
            yield step.finding(KIND, message, _DIGEST)
        decision = step.head.execution.approvals[event.ordinal].decisions[-1]
        asked = amendment.as_asked(approval, decision)
        earlier = asked.decision_that_bars(actor.id)
        if earlier is not None:
            message = (
                f"{actor.id!r} decided already, as {earlier.by.id!r} at version {earlier.version}"
            )
            yield step.finding(KIND, message, "each person decides once")
        yield from _eligibility_flaws(step, execution, asked, event, actor)
        yield from _login_flaws(step, approval, event)
        if event.decided_by is not None and event.standing_grant_id is None:
            message = f"{step.event.recorded.actor.id!r} decided for {actor.id!r}"
            yield step.finding(KIND, message, "only a standing grant decides for its owner")
        if problem := _answers_flaw(approval, event):
            yield step.finding(KIND, problem, "the form that was frozen in the request is another")
        if (quorum.outcome(approval, decision) is not None) is not event.resolves:
            message = (
                "it resolves the approval, but the policy asks for more"
                if event.resolves
                else "it does not resolve the approval, but the policy asks for no more"
            )
            yield step.finding(KIND, message, POLICY)

    def _redeemed(self, step: Step) -> Iterator[Finding]:
        self._redemptions += 1
        event = step.event.recorded.event
        assert isinstance(event, ApprovalRedeemed)
        if event.payload_digest != step.head.execution.approvals[event.ordinal].payload_digest:
            message = "the redeemed payload is not the granted one"
            yield step.finding(KIND, message, "what was done is not what people agreed to")
        assert step.before is not None
        before = step.before.approvals[event.ordinal]
        if before.lapsed(step.event.recorded.at):
            message = f"it is redeemed, but the grant was valid until {before.valid_until}"
            yield step.finding(KIND, message, POLICY)


def _answers_flaw(approval: Approval, event: Decided) -> str | None:
    answers = event.content.answers
    asked = approval.form is not None and isinstance(event, ApprovalGranted)
    if asked and answers is not None:
        return check_answers(approval.form, answers)
    if asked:
        return "the approval has a form, and the grant does not answer it"
    return None if answers is None else "the decision has answers, but none were asked for"


def _asks_nobody(approval: Approval) -> bool:
    return any(
        requirement.count < 1 or not (requirement.groups or requirement.users)
        for requirement in approval.policy.requirements
    )


def _round_flaws(step: Step, before: Execution, approval: Approval) -> Iterator[Finding]:
    latest = before.rounds.get(approval.key)
    last = None if latest is None else before.approvals[latest]
    expected = 1 if last is None else last.round + 1
    if approval.round != expected:
        message = f"it is round {approval.round} of {approval.key!r}, not round {expected}"
        yield step.finding(KIND, message, "rounds count from 1 without a gap")
    if last is not None and not opens_new_round(before, last, step.event.recorded.at):
        message = f"{approval.key!r} is asked for again, but its last round is {last.status}"
        meaning = "a new round needs a retry of the execution, or an end that invites another"
        yield step.finding(KIND, message, meaning)


def _eligibility_flaws(
    step: Step, execution: Execution, approval: Approval, event: Decided, actor: Actor
) -> Iterator[Finding]:
    # The groups in the event are those of the person for whom the decision counts.
    person = _decider(actor, event)
    objected = False
    for objection in eligibility.objections(person, execution, approval):
        objected = True
        yield step.finding(KIND, f"{actor.id!r} may not decide: {objection}", POLICY)
    if event.stage != (stage := quorum.current_stage(approval)):
        message = f"it counts in stage {event.stage}, but stage {stage} is asked"
        yield step.finding(KIND, message, POLICY)
    if not event.all_groups_known and step.event.topic == event.topic:
        message = "it says that it has only some of the person's groups"
        yield step.finding(KIND, message, "no server of this version records that")
    place = place_of(person, execution, approval)
    if objected or place is None:
        return
    stood_in_for = None if place.on_behalf_of is None else place.on_behalf_of.id
    if (
        not same_name(event.on_behalf_of, stood_in_for)
        or place.groups != normal_set(event.groups)
        or place.substitution != event.substitution
    ):
        message = (
            f"it counts for {event.on_behalf_of or actor.id!r} with the groups {event.groups!r}, "
            f"but the delegations and the substitution say {place.person!r}"
        )
        yield step.finding(KIND, message, POLICY)
        return
    counted = eligibility.counted_groups(person, approval)
    by_escalation = bool(approval.escalation_groups(event.groups))
    if not event.all_groups_known and len(counted) != len(event.groups) and not by_escalation:
        message = f"it counts the groups {event.groups!r}, of which the policy names {counted!r}"
        yield step.finding(KIND, message, POLICY)
    rule = eligibility.rule_for(place, approval)
    kind, _, name = event.rule.partition(":")
    if f"{kind}:{normal(name)}" != rule:
        message = f"it says that {event.rule!r} makes {actor.id!r} eligible, but {rule!r} does"
        yield step.finding(KIND, message, POLICY)


def _login_flaws(step: Step, approval: Approval, event: Decided) -> Iterator[Finding]:
    policy = approval.policy
    if policy.asks_for_login:
        at = step.event.recorded.at
        if flaw := step_up.login_flaw(policy, event.acr, event.auth_time, at):
            yield step.finding(KIND, flaw, POLICY)
    elif event.acr is not None or event.auth_time is not None:
        message = "it records a login, but the policy asks for none"
        yield step.finding(KIND, message, "no server records that")


def _approver(actor: Actor, groups: Iterable[str]) -> Principal:
    return Principal(
        id=actor.id,
        name=actor.name or actor.id,
        roles=frozenset({Role.APPROVER}),
        groups=frozenset(groups),
    )


def _decider(actor: Actor, event: Decided) -> Principal:
    if event.on_behalf_of is None:
        return _approver(actor, event.groups)
    if event.substitution is None:
        return _approver(actor, ())
    absence = Absence(
        id=event.on_behalf_of,
        name=event.content.on_behalf_of_name,
        groups=frozenset(event.groups),
        only_groups=event.substitution.only_groups,
        since=event.substitution.since,
        number=event.substitution.number,
    )
    return replace(_approver(actor, ()), stands_in_for=(absence,))


def _retracted(step: Step) -> Iterator[Finding]:
    recorded = step.event.recorded
    event = recorded.event
    assert isinstance(event, DecisionRetracted)
    decisions = step.head.execution.approvals[event.ordinal].decisions
    if not any(
        decision.version == event.decision_version and same_name(decision.by.id, recorded.actor.id)
        for decision in decisions
    ):
        message = f"{recorded.actor.id!r} takes back the decision of somebody else"
        yield step.finding(KIND, message, "each person takes back their own decision only")


def _revoked(step: Step) -> Iterator[Finding]:
    event = step.event.recorded.event
    assert isinstance(event, ApprovalRevoked)
    if step.head.execution.approvals[event.ordinal].redeemed_version:
        message = "the grant is revoked, but it was redeemed before"
        yield step.finding(KIND, message, "what was redeemed can't be revoked")


def _delegated(step: Step) -> Iterator[Finding]:
    event, actor = step.event.recorded.event, step.event.recorded.actor
    assert isinstance(event, ApprovalDelegated)
    execution = step.before
    assert execution is not None
    approval = execution.approvals[event.ordinal]
    person = _approver(actor, () if event.source else event.groups)
    for objection in eligibility.objections(person, execution, approval):
        message = f"{actor.id!r} may not hand the decision over: {objection}"
        yield step.finding(KIND, message, POLICY)
    if approval.decision_that_bars(actor.id) is not None:
        message = f"{actor.id!r} hands the decision over, but has decided already"
        yield step.finding(KIND, message, POLICY)
    if problem := delegation.problem_with(execution, approval, actor.id, event.to, event.source):
        message = f"the decision is handed to {event.to!r}: {problem}"
        yield step.finding(KIND, message, POLICY)
    place = place_of(person, execution, approval)
    if place is not None and (place.source, place.groups) != (
        event.source,
        normal_set(event.groups),
    ):
        message = f"the decision is handed over with the groups {event.groups!r} of somebody else"
        yield step.finding(KIND, message, POLICY)


def _taken_back(step: Step) -> Iterator[Finding]:
    recorded = step.event.recorded
    event = recorded.event
    assert isinstance(event, DelegationTakenBack)
    delegations = step.head.execution.approvals[event.ordinal].delegations
    if not any(
        each.version == event.delegation_version and same_name(each.by.id, recorded.actor.id)
        for each in delegations
    ):
        message = f"{recorded.actor.id!r} takes back the delegation of somebody else"
        yield step.finding(KIND, message, "each person takes back their own delegation only")


def _ended(step: Step) -> Iterator[Finding]:
    if step.head.execution.pending:
        message = f"it ends with {step.head.execution.pending} approvals pending"
        yield step.finding(KIND, message, "an end withdraws them in the same commit")


def _all_resolved(execution: Execution) -> bool:
    """Whether it still counts as waiting with nothing pending: only within a commit."""
    return execution.state is ExecutionState.WAITING_APPROVAL and not execution.pending


def _settles(step: Step) -> bool:
    """Whether the event is the one that follows the last resolution, from the same command."""
    recorded, previous = step.event.recorded, step.previous
    return (
        isinstance(recorded.event, _AFTER_THE_LAST)
        and previous is not None
        and recorded.command_id == previous.command_id
    )


def _not_resumed(step: Step) -> Finding:
    message = "the last approval was resolved before it, but the execution did not resume"
    return step.finding(KIND, message, "the event Resumed of the same commit was removed")
