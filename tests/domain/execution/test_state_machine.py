"""What always holds of the whole aggregate under commands of many people in any order."""

from collections import Counter
from itertools import permutations

import jsonpatch
from hypothesis import settings
from hypothesis.stateful import invariant

from domain.approvals import quorum
from domain.approvals.document import document_digest, document_of
from domain.approvals.events import (
    ApprovalAmended,
    ApprovalChangesRequested,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalUnclaimed,
    ApprovalWithdrawn,
    Decided,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.approvals.policy import ExpiryAction, Requirement
from domain.approvals.simulation import simulate
from domain.approvals.state import Approval, ApprovalStatus, Decision, ResolutionCause, Verdict
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    ChildEnded,
    Claimed,
    CleanUpDeclared,
    Completed,
    Failed,
    Parked,
    Resumed,
    SignalReceived,
    StepCompleted,
    StepFailed,
    TimerFired,
)
from domain.execution.evolve import fold
from domain.names import folded
from domain.serialization.canonical_json import canonical, digest
from domain.values import ExecutionState
from tests.domain.execution.all_commands import AllCommands
from tests.domain.execution.approval_commands import ApprovalCommands
from tests.domain.execution.command_machine import (
    ENDS,
    FITTING,
    GROUPS_OF_ABSENT,
    PEOPLE,
    Machine,
)

SAID_ABOUT_APPROVALS = {
    ApprovalClaimed,
    ApprovalUnclaimed,
    ApprovalCommented,
    ApprovalDelegated,
    DelegationTakenBack,
    ApprovalEscalated,
    ApprovalReminded,
}
RESOLUTIONS = (ApprovalWithdrawn, ApprovalExpired)


def resolves(event: Event) -> bool:
    return isinstance(event, RESOLUTIONS) or (isinstance(event, Decided) and event.resolves)


def people_meet(approval: Approval, decisions: list[Decision]) -> bool:
    """Whether each place of the policy can have its own person, by trying all ways."""
    places = [r for r in approval.policy.requirements for _ in range(r.count)]
    return any(
        all(meets(approval, *pair) for pair in zip(chosen, places, strict=True))
        for chosen in permutations(decisions, len(places))
    )


def meets(approval: Approval, decision: Decision, requirement: Requirement) -> bool:
    person = (decision.on_behalf_of or decision.by).id
    groups = GROUPS_OF_ABSENT[person] if decision.substitution else PEOPLE[person].groups
    escalated = 0 < approval.escalated_version < decision.version and "chiefs" in groups
    by_name = decision.substitution is None or not decision.substitution.only_groups
    named = (by_name and person in requirement.users) or set(groups) & set(requirement.groups)
    return decision.stage == requirement.stage and bool(named or escalated)


class Invariants(Machine):
    """What holds after each command."""

    @invariant()
    def folding_all_is_folding_one_by_one(self) -> None:
        if self.history.log:
            assert fold(None, self.history.log) == self.execution
            assert self.execution.version == len(self.history.log)

    @invariant()
    def waiting_means_pending(self) -> None:
        if self.history.log:
            state = self.execution.state
            pending = [approval for approval in self.approvals if approval.pending]
            assert self.execution.pending == len(pending)
            assert self.execution.pending_approvals() == pending
            assert (state is ExecutionState.WAITING_APPROVAL) == bool(pending)

    @invariant()
    def an_end_is_recorded_as_such(self) -> None:
        if self.history.log:
            last = next(
                type(each.event)
                for each in reversed(self.history.log)
                # What is possible after the end, too.
                if not isinstance(each.event, ApprovalCommented)
                and not (
                    isinstance(each.event, ApprovalRevoked)
                    and self.execution.state is ExecutionState.FAILED
                )
            )
            assert self.execution.state.final == (last in ENDS)
            assert ENDS.get(last, self.execution.state) is self.execution.state
            assert (self.execution.ended_at is not None) == self.execution.state.final

    @invariant()
    def each_person_and_each_place_decides_once(self) -> None:
        for approval in self.approvals if self.history.log else ():
            standing = approval.counting_decisions
            people = [folded(decision.by.id) for decision in standing]
            places = [folded((decision.on_behalf_of or decision.by).id) for decision in standing]
            assert len(people) == len(set(people))
            assert len(places) == len(set(places))
            grants = [d for d in standing if d.verdict is Verdict.GRANTED]
            assert all(decision.digest == approval.digest for decision in grants)

    @invariant()
    def nobody_counts_twice_through_a_substitution(self) -> None:
        """Neither who decided nor who was absent has a part in another decision that counts."""
        for approval in self.approvals if self.history.log else ():
            standing = approval.counting_decisions
            involved = [{folded(d.by.id), folded((d.on_behalf_of or d.by).id)} for d in standing]
            for number, decision in enumerate(standing):
                if decision.substitution is not None:
                    assert decision.on_behalf_of is not None
                    assert len(involved[number]) == 2
                    for other, names in enumerate(involved):
                        assert other == number or involved[number].isdisjoint(names)

    @invariant()
    def each_grant_answers_the_form_of_its_approval_and_no_expiry_does(self) -> None:
        for approval in self.approvals if self.history.log else ():
            for decision in approval.decisions:
                granted = decision.verdict is Verdict.GRANTED and approval.form is not None
                assert (decision.answers in FITTING) if granted else decision.answers is None
            if approval.form is not None and approval.status is ApprovalStatus.GRANTED:
                assert approval.resolution is ResolutionCause.DECISIONS

    @invariant()
    def the_document_is_the_requested_one_with_all_amendments(self) -> None:
        for approval in self.approvals if self.history.log else ():
            requested = self.history.log[approval.requested_version - 1].event
            assert isinstance(requested, ApprovalRequested)
            payload = requested.content.payload
            for amendment in approval.amendments:
                payload = jsonpatch.apply_patch(payload, amendment.patch)
            assert payload == approval.payload
            assert digest(canonical(payload)) == approval.payload_digest
            document = document_of(self.execution, approval)
            assert document_digest(document, canonical(payload)) == approval.digest
            assert requested.payload_digest == approval.requested_payload_digest

    @invariant()
    def the_policy_in_force_makes_no_difference_when_it_is_simulated(self) -> None:
        for approval in self.approvals if self.history.log else ():
            if not approval.pending:
                simulated = simulate(self.execution, approval, approval.policy)
                assert simulated.status is approval.status

    @invariant()
    def nobody_with_an_interest_takes_part(self) -> None:
        for approval in self.approvals if self.history.log else ():
            if not approval.policy.allow_initiator:
                interested = {
                    self.execution.initiator.id,
                    self.execution.on_behalf_of,
                    approval.requested_by.id,
                }
                took_part = [
                    actor.id
                    for decision in approval.decisions
                    for actor in (decision.by, decision.on_behalf_of or decision.by)
                ]
                took_part += [each.by.id for each in approval.delegations]
                took_part += [each.to.id for each in approval.delegations]
                barred = {folded(name) for name in interested if name is not None}
                assert barred.isdisjoint(map(folded, took_part))

    @invariant()
    def who_handed_the_decision_over_does_not_decide(self) -> None:
        for approval in self.approvals if self.history.log else ():
            handed = {folded(each.by.id) for each in approval.delegations if each.stands}
            standing = approval.counting_decisions
            assert handed.isdisjoint(folded(decision.by.id) for decision in standing)
            for decision in standing:
                if decision.on_behalf_of is not None:
                    by_substitute = decision.substitution is not None
                    assert (folded(decision.on_behalf_of.id) in handed) != by_substitute

    @invariant()
    def delegations_have_no_circle_and_are_three_long_at_most(self) -> None:
        for approval in self.approvals if self.history.log else ():
            onward = {
                folded(each.by.id): folded(each.to.id)
                for each in approval.delegations
                if each.stands
            }
            for start in onward:
                at, seen = start, set[str]()
                while at in onward:
                    assert at not in seen
                    seen.add(at)
                    at = onward[at]
            assert all(len(approval.chain_of(each)) <= 3 for each in approval.delegations)

    @invariant()
    def what_is_granted_has_its_quorum_or_the_rule_of_an_expiry(self) -> None:
        for approval in self.approvals if self.history.log else ():
            events = self.about(approval)
            retracted = {
                event.decision_version for event in events if isinstance(event, DecisionRetracted)
            }
            amended = max((each.version for each in approval.amendments), default=0)
            grants = [
                decision
                for decision in approval.decisions
                if decision.verdict is Verdict.GRANTED
                and decision.version not in retracted
                and decision.version > amended
            ]
            met = people_meet(approval, grants)
            assert met == (not quorum.outstanding(approval))
            decided = any(isinstance(event, Decided) and event.resolves for event in events)
            granted = approval.status in (ApprovalStatus.GRANTED, ApprovalStatus.REVOKED)
            by_expiry = any(
                isinstance(event, ApprovalExpired) and event.action is ExpiryAction.GRANT
                for event in events
            )
            assert granted == (met or by_expiry)
            assert not by_expiry or approval.policy.on_expiry is ExpiryAction.GRANT
            refused = [d for d in approval.counting_decisions if d.verdict is not Verdict.GRANTED]
            over = len(refused) >= approval.policy.rejections
            assert not (met and over)
            assert decided == (met or over)
            if over:
                changes = any(d.verdict is Verdict.CHANGES_REQUESTED for d in refused)
                assert approval.status is (
                    ApprovalStatus.CHANGES_REQUESTED if changes else ApprovalStatus.REJECTED
                )
            if approval.resolution is ResolutionCause.DECISIONS:
                assert decided
            assert (approval.resolved_at is None) == approval.pending

    @invariant()
    def nothing_follows_a_resolution_but_redemption_or_revocation(self) -> None:
        for approval in self.approvals if self.history.log else ():
            after: set[type[Event]] | None = None
            for event in self.about(approval):
                assert after is None or type(event) in {*after, ApprovalCommented}
                if resolves(event):
                    after = {ApprovalRedeemed, ApprovalRevoked}
                elif isinstance(event, ApprovalRedeemed | ApprovalRevoked):
                    after = set()

    def about(self, approval: Approval) -> list[Event]:
        """The events about this approval, in order."""
        return [
            each.event
            for each in self.history.log[approval.requested_version - 1 :]
            if getattr(each.event, "ordinal", 0) == approval.ordinal
        ]

    @invariant()
    def a_granted_approval_is_redeemed_once_at_most(self) -> None:
        redemptions = Counter(
            recorded.event.ordinal
            for recorded in self.history.log
            if isinstance(recorded.event, ApprovalRedeemed)
        )
        assert set(redemptions.values()) <= {1}
        for approval in self.approvals if self.history.log else ():
            assert (approval.redemption_key is not None) == (approval.ordinal in redemptions)
            if approval.redemption_key is not None:
                assert approval.status is ApprovalStatus.GRANTED

    @invariant()
    def rounds_of_a_key_follow_one_another(self) -> None:
        latest: dict[str, Approval] = {}
        for approval in self.approvals if self.history.log else ():
            before = latest.get(approval.key)
            assert approval.round == (1 if before is None else before.round + 1)
            if before is not None:
                assert before.status is not ApprovalStatus.PENDING
                assert before.retry <= approval.retry
            latest[approval.key] = approval
        if self.history.log:
            rounds = dict(self.execution.rounds.items())
            assert rounds == {key: approval.ordinal for key, approval in latest.items()}

    @invariant()
    def asleep_means_that_nothing_came_since(self) -> None:
        if self.history.log and self.execution.asleep:
            slept = self.execution.asleep_version
            assert self.execution.woken_version < slept
            assert self.execution.state is ExecutionState.RUNNING
            since = {type(each.event) for each in self.history.log[slept:]}
            assert since <= {Claimed, CleanUpDeclared, Parked} | SAID_ABOUT_APPROVALS

    @invariant()
    def nothing_of_a_worker_is_recorded_while_it_is_parked(self) -> None:
        if self.history.log and self.execution.parked is not None:
            events = [each.event for each in self.history.log[self.execution.parked_version :]]
            redeemed = {approval.redemption_key for approval in self.approvals}
            since = {
                type(event)
                for event in events
                # The outcome of what was approved is recorded all the same.
                if not (isinstance(event, StepCompleted | StepFailed) and event.key in redeemed)
            }
            assert since <= SAID_ABOUT_APPROVALS | {
                ApprovalAmended,
                ApprovalChangesRequested,
                ApprovalExpired,
                ApprovalRevoked,
                DecisionRetracted,
                ApprovalGranted,
                ApprovalRejected,
                Resumed,
                SignalReceived,
                TimerFired,
                ChildEnded,
            }

    @invariant()
    def nothing_is_asked_or_redeemed_once_a_cancellation_is_requested(self) -> None:
        if self.history.log and self.execution.cancel_requested_version:
            since = {
                type(each.event)
                for each in self.history.log[self.execution.cancel_requested_version :]
            }
            assert since.isdisjoint({ApprovalRequested, ApprovalRedeemed, Completed, Failed})
            assert self.execution.pending == 0

    @invariant()
    def what_was_redeemed_before_a_cancellation_has_an_outcome(self) -> None:
        if self.history.log and self.execution.state is ExecutionState.CANCELLED:
            for approval in self.approvals:
                if approval.redemption_key is not None:
                    step = self.execution.steps[approval.redemption_key]
                    assert step.completed_at is not None or step.failures

    @invariant()
    def a_child_is_started_anew_only_after_a_retry(self) -> None:
        for child in self.execution.children.values() if self.history.log else ():
            assert child.round <= len(self.execution.retried_from) + 1

    @invariant()
    def the_fence_counts_the_claims(self) -> None:
        claims = [r.event for r in self.history.log if isinstance(r.event, Claimed)]
        assert [event.fence for event in claims] == list(range(1, len(claims) + 1))
        if self.history.log:
            assert self.execution.fence == len(claims)

    @invariant()
    def the_first_success_of_a_step_stays(self) -> None:
        if self.history.log:
            completed = {
                step.key: step.result
                for step in self.execution.steps.values()
                if step.completed_at is not None
            }
            assert completed == self.results


class Aggregate(Invariants, AllCommands):
    """All commands."""


class Approvals(Invariants, ApprovalCommands):
    """Only commands about approvals, which go deeper."""


Aggregate.TestCase.settings = settings(max_examples=120, stateful_step_count=40)
TestAggregate = Aggregate.TestCase
Approvals.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestApprovals = Approvals.TestCase
