"""The decisions about approvals, against the policy that was frozen when each was requested.

They are checked by the rules that decided them: ``eligibility`` and ``quorum``. Who was in which
group is not in the log; what counts is the groups that the decision recorded.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.findings import Finding
from domain.approvals import eligibility, quorum
from domain.approvals.document import document_digest, document_of
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.events import (
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    Cancelled,
    Failed,
    Resumed,
)
from domain.execution.state import Execution
from domain.names import normal, same_name
from domain.serialization.canonical_json import canonical, digest
from domain.values import ExecutionState, Principal, Role

KIND = "decision"

_DIGEST = "what people saw and what was recorded are not the same"
_POLICY = "the policy that was frozen in the request does not allow it"
_AFTER_THE_LAST = (Resumed, Failed, Cancelled)


class DecisionsAudit(Audit):
    """Requests, decisions, resolutions and redemptions."""

    def __init__(self) -> None:
        self._requests = self._decisions = self._redemptions = 0
        self._checks: dict[type[Any], Callable[[Step], Iterable[Finding]]] = {
            ApprovalRequested: self._requested,
            ApprovalGranted: self._decided,
            ApprovalRejected: self._decided,
            ApprovalRedeemed: self._redeemed,
            ApprovalExpired: _expired,
            ApprovalDelegated: _delegated,
            ApprovalEscalated: _escalated,
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
            "or recorded group, four eyes, one decision a person, quorum; and that the execution "
            "resumes exactly when its last approval is resolved"
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
        yield from _round_flaws(step, step.before, approval)

    def _decided(self, step: Step) -> Iterator[Finding]:
        self._decisions += 1
        event, actor = step.event.recorded.event, step.event.recorded.actor
        assert isinstance(event, ApprovalGranted | ApprovalRejected)
        execution = step.before
        assert execution is not None
        approval = execution.approvals[event.ordinal]
        if event.digest != approval.digest:
            message = "the decision names another document than the requested one"
            yield step.finding(KIND, message, _DIGEST)
        earlier = approval.decision_that_bars(actor.id)
        if earlier is not None:
            message = (
                f"{actor.id!r} decided already, as {earlier.by.id!r} at version {earlier.version}"
            )
            yield step.finding(KIND, message, "each person decides once")
        yield from _eligibility_flaws(step, execution, approval, event)
        decision = step.head.execution.approvals[event.ordinal].decisions[-1]
        if quorum.resolves(approval, decision) is not event.resolves:
            message = (
                "it resolves the approval, but the policy asks for more"
                if event.resolves
                else "it does not resolve the approval, but the policy asks for no more"
            )
            yield step.finding(KIND, message, _POLICY)

    def _redeemed(self, step: Step) -> Iterator[Finding]:
        self._redemptions += 1
        event = step.event.recorded.event
        assert isinstance(event, ApprovalRedeemed)
        if event.payload_digest != step.head.execution.approvals[event.ordinal].payload_digest:
            message = "the redeemed payload is not the granted one"
            yield step.finding(KIND, message, "what was done is not what people agreed to")


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
    if last is not None and (
        last.status is ApprovalStatus.GRANTED or not before.retried_since(last.retry)
    ):
        message = f"{approval.key!r} is asked for again, but its last round is {last.status}"
        meaning = "a new round needs a retry of the execution, and follows no granted one"
        yield step.finding(KIND, message, meaning)


def _eligibility_flaws(
    step: Step, execution: Execution, approval: Approval, event: ApprovalGranted | ApprovalRejected
) -> Iterator[Finding]:
    actor = step.event.recorded.actor
    person = Principal(
        id=actor.id,
        name=actor.name or actor.id,
        roles=frozenset({Role.APPROVER}),
        groups=frozenset(event.groups),
    )
    by_other_means = any(same_name(to, actor.id) for _, to in approval.delegations) or any(
        normal(group) in person.groups for group in approval.escalated_to
    )
    for objection in eligibility.objections(person, execution, approval):
        if objection != eligibility.NOT_NAMED or not by_other_means:
            yield step.finding(KIND, f"{actor.id!r} may not decide: {objection}", _POLICY)
    if eligibility.named_by_policy(person, execution, approval) is not None:
        return
    counted = eligibility.counted_groups(person, approval)
    if len(counted) != len(event.groups) and not by_other_means:
        message = f"it counts the groups {event.groups!r}, of which the policy names {counted!r}"
        yield step.finding(KIND, message, _POLICY)
    rule = eligibility.rule_for(person, approval)
    kind, _, name = event.rule.partition(":")
    if f"{kind}:{normal(name)}" != rule:
        message = f"it says that {event.rule!r} makes {actor.id!r} eligible, but {rule!r} does"
        yield step.finding(KIND, message, _POLICY)


def _expired(step: Step) -> Iterator[Finding]:
    event, at = step.event.recorded.event, step.event.recorded.at
    assert isinstance(event, ApprovalExpired)
    approval = step.head.execution.approvals[event.ordinal]
    if approval.deadline is None or at < approval.deadline:
        message = f"approval {event.ordinal} expires, but its deadline is {approval.deadline}"
        yield step.finding(KIND, message, _POLICY)
    if event.action is not approval.policy.on_expiry:
        message = f"expiry does {event.action}, but the policy says {approval.policy.on_expiry}"
        yield step.finding(KIND, message, _POLICY)


def _delegated(step: Step) -> Iterator[Finding]:
    # Only who was eligible could hand the right over. The groups of who did are not recorded.
    message = "the right to decide is handed to another person"
    yield step.finding(KIND, message, "no server of this version takes that")


def _escalated(step: Step) -> Iterator[Finding]:
    event = step.event.recorded.event
    assert isinstance(event, ApprovalEscalated)
    policy = step.head.execution.approvals[event.ordinal].policy
    if policy.on_expiry is not ExpiryAction.ESCALATE or event.groups != policy.escalate_to:
        message = f"{event.groups!r} may decide, but the policy says {policy.escalate_to!r}"
        yield step.finding(KIND, message, _POLICY)


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
