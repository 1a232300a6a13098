"""The whole aggregate under commands of many people in any order, and what always holds.

The scenario behind each rule stores, reads back and folds every event that was decided, so none
is decided that can't be stored or folded.
"""

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.approvals import quorum
from domain.approvals.state import Approval, ApprovalStatus, ResolutionCause, Verdict
from domain.execution.commands import ClaimExecution
from domain.execution.decide import decide
from domain.execution.events import (
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    Cancelled,
    ChildEnded,
    ChildStarted,
    Claimed,
    Completed,
    Decided,
    Event,
    Failed,
    Parked,
    Resumed,
    Retried,
    SignalReceived,
    Started,
    StepCompleted,
    StepFailed,
    Suspended,
    TimerCancelled,
    TimerFired,
    TimerSet,
    Unparked,
)
from domain.execution.evolve import fold
from domain.execution.idempotency import first_version
from domain.execution.state import Execution
from domain.values import ExecutionState, Role
from tests.domain.ask import (
    CURRENT,
    Ask,
    cancel,
    cancel_timer,
    claim,
    complete,
    end_child,
    fail,
    fire_timer,
    grant,
    needs,
    park,
    policy,
    redeem,
    reject,
    request,
    retry,
    set_timer,
    signal,
    start,
    start_child,
    step,
    suspend,
    unpark,
    withdraw,
)
from tests.domain.people import ADAM, ENGINE, OLIVIA, OTHER_ENGINE, STRANGER, approver, principal
from tests.domain.scenario import given

EVA = principal("eva", Role.OPERATOR, Role.APPROVER, groups=("finance", "legal"))
DECIDERS = (
    EVA,
    approver("ann", "finance", "legal"),
    approver("bob", "finance"),
    approver("cleo", "legal"),
    approver("dora", "finance", "legal"),
    STRANGER,
    OLIVIA,
)
POLICIES = (
    policy(),
    policy(needs("finance"), needs("legal")),
    policy(needs("finance", count=2), needs("legal"), rejections=2),
    policy(needs("legal", users=("bob",)), allow_initiator=True),
)
ENDS: dict[type[Event], ExecutionState] = {
    Completed: ExecutionState.COMPLETED,
    Failed: ExecutionState.FAILED,
    Cancelled: ExecutionState.CANCELLED,
}
BEGINNINGS: dict[str, tuple[type[Event], ...]] = {
    "StartExecution": (Started,),
    "ClaimExecution": (Claimed,),
    "RecordStep": (StepCompleted, StepFailed),
    "RequestApproval": (ApprovalRequested,),
    "Decide": (ApprovalGranted, ApprovalRejected),
    "WithdrawApproval": (ApprovalWithdrawn,),
    "RedeemApproval": (ApprovalRedeemed,),
    "SetTimer": (TimerSet,),
    "FireTimer": (TimerFired, TimerCancelled),
    "CancelTimer": (TimerCancelled, TimerFired),
    "SendSignal": (SignalReceived,),
    "StartChild": (ChildStarted,),
    "EndChild": (ChildEnded,),
    "SuspendExecution": (Suspended,),
    "ParkExecution": (Parked,),
    "UnparkExecution": (Unparked,),
    "CompleteExecution": (Completed,),
    "FailExecution": (Failed,),
    "CancelExecution": (Cancelled,),
    "RetryExecution": (Retried,),
}

engines = st.sampled_from((*[ENGINE] * 9, OTHER_ENGINE))
fences = st.sampled_from((*[CURRENT] * 9, None, 0, 1))
deciders = st.sampled_from(DECIDERS)
keys = st.sampled_from(("a", "b", "c"))
back = st.sampled_from((0, 0, 0, 1, 2))
digests = st.sampled_from((*[None] * 9, "sha256:other"))
words = st.sampled_from(("one", "two"))


class Aggregate(RuleBasedStateMachine):
    """One execution, and the first results of its steps as the model remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.history = given()
        self.results: dict[str, Any] = {}

    @property
    def execution(self) -> Execution:
        return self.history.state

    @property
    def approvals(self) -> list[Approval]:
        return self.execution.approvals_in_order()

    def ordinal(self, back: int) -> int:
        """The ordinal of the latest approval, or of one before it."""
        return max(1, len(self.execution.approvals) - back)

    def ask(self, ask: Ask) -> tuple[Event, ...]:
        """Ask, and check what holds of every answer."""
        log = self.history.log
        before, length = (self.history.state, len(log)) if log else (None, 0)
        command = ask(before)
        asked = self.history.when(lambda _state: command)
        after = self.history.state
        if asked.refusal is not None:
            assert after == before
            assert len(self.history.log) == length
            return ()
        expected = BEGINNINGS[type(command).__name__]
        if not asked.recorded:
            version = first_version(after, command)
            assert type(self.history.log[version - 1].event) in expected
            assert after == before
        else:
            assert any(isinstance(event, expected) for event in asked.recorded)
            self.check_commit(asked.recorded)
        if not isinstance(command, ClaimExecution):
            assert decide(after, command) == ()
        return asked.recorded

    def check_commit(self, events: tuple[Event, ...]) -> None:
        """Resolutions, Resumed and ends come together or not at all."""
        types = [type(event) for event in events]
        resolved = types.count(ApprovalWithdrawn) + sum(
            isinstance(event, Decided) and event.resolves for event in events
        )
        ended = any(each in ENDS for each in types)
        assert (Resumed in types) == (bool(resolved) and not ended and not self.execution.pending)
        if ended:
            assert types[-1] in ENDS
            assert self.execution.pending == 0

    @initialize(by=st.sampled_from((OLIVIA, EVA)), behalf=st.sampled_from((None, "ann")))
    def begin(self, by: Any, behalf: str | None) -> None:
        assert self.ask(start(by, on_behalf_of=behalf))

    @rule(by=engines)
    def claim(self, by: Any) -> None:
        self.ask(claim(by))

    @rule(by=engines, fence=fences, key=keys, attempt=st.integers(1, 3), result=words)
    def succeed(self, by: Any, fence: int | None, key: str, attempt: int, result: str) -> None:
        if self.ask(step(key, by, fence=fence, attempt=attempt, result=result)):
            assert key not in self.results
            self.results[key] = result

    @rule(by=engines, fence=fences, key=keys, attempt=st.integers(1, 3), error=words)
    def stumble(self, by: Any, fence: int | None, key: str, attempt: int, error: str) -> None:
        self.ask(step(key, by, fence=fence, attempt=attempt, error=error))

    @rule(
        by=st.sampled_from((ENGINE, ENGINE, principal("eva", Role.ENGINE), OTHER_ENGINE)),
        fence=fences,
        key=keys,
        payload=st.sampled_from((1, 1, 1, 2)),
        wanted=st.sampled_from(POLICIES),
    )
    def request(self, by: Any, fence: int | None, key: str, payload: int, wanted: Any) -> None:
        self.ask(request(key, by, fence=fence, payload=payload, policy=wanted))

    @precondition(lambda self: self.execution.approvals)
    @rule(by=deciders, back=back, digest=digests)
    def grant(self, by: Any, back: int, digest: str | None) -> None:
        self.ask(grant(by, self.ordinal(back), digest=digest))

    @precondition(lambda self: self.execution.approvals)
    @rule(by=deciders, back=back, digest=digests)
    def reject(self, by: Any, back: int, digest: str | None) -> None:
        self.ask(reject(by, self.ordinal(back), digest=digest))

    @precondition(lambda self: self.execution.approvals)
    @rule(by=engines, fence=fences, back=back)
    def withdraw(self, by: Any, fence: int | None, back: int) -> None:
        self.ask(withdraw(self.ordinal(back), by, fence=fence))

    @precondition(lambda self: self.execution.approvals)
    @rule(by=engines, fence=fences, back=back, key=words, digest=digests)
    def redeem(self, by: Any, fence: int | None, back: int, key: str, digest: str | None) -> None:
        granted = [a.ordinal for a in self.approvals if a.status is ApprovalStatus.GRANTED]
        ordinal = granted[back % len(granted)] if granted else self.ordinal(back)
        self.ask(redeem(ordinal, by, fence=fence, key=key, digest=digest))

    @rule(by=engines, fence=fences, key=keys)
    def set_timer(self, by: Any, fence: int | None, key: str) -> None:
        self.ask(set_timer(key, by, fence=fence))

    @rule(key=keys, fires=st.booleans())
    def end_timer(self, key: str, fires: bool) -> None:  # noqa: FBT001 - drawn
        self.ask(fire_timer(key) if fires else cancel_timer(key))

    @rule(name=words, key=keys, payload=words)
    def signal(self, name: str, key: str, payload: str) -> None:
        self.ask(signal(name, key=key, payload=payload))

    @rule(by=engines, fence=fences, key=keys)
    def start_child(self, by: Any, fence: int | None, key: str) -> None:
        self.ask(start_child(key, by, fence=fence))

    @rule(key=keys, outcome=st.sampled_from(list(ENDS.values())))
    def end_child(self, key: str, outcome: ExecutionState) -> None:
        child = self.execution.children.get(key)
        self.ask(end_child(key, round=child.round if child else 1, outcome=outcome))

    @rule(by=engines, fence=fences, seen=back)
    def suspend(self, by: Any, fence: int | None, seen: int) -> None:
        self.ask(suspend(by, fence=fence, seen=self.execution.woken_version - seen))

    @rule(chance=st.integers(0, 3))
    def park(self, chance: int) -> None:
        if chance == 0:
            self.ask(park())

    @rule()
    def unpark(self) -> None:
        self.ask(unpark())

    @rule(
        end=st.sampled_from((fail(), fail(), fail(fence=1), complete(), cancel())),
        chance=st.integers(0, 4),
    )
    def end(self, end: Ask, chance: int) -> None:
        if chance == 0:
            self.ask(end)

    @rule(by=st.sampled_from((OLIVIA, ADAM, EVA, STRANGER)), back=st.integers(0, 3))
    def retry(self, by: Any, back: int) -> None:
        self.ask(retry(by, expected_version=self.execution.version - back))

    @precondition(lambda self: self.execution.state is ExecutionState.FAILED)
    @rule()
    def retry_at_once(self) -> None:
        self.ask(retry())

    @rule(by=st.sampled_from((OLIVIA, EVA, STRANGER)), workflow=st.sampled_from(("travel", "x")))
    def start_again(self, by: Any, workflow: str) -> None:
        assert self.ask(start(by, workflow=workflow)) == ()

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
            last = type(self.history.log[-1].event)
            assert self.execution.state.final == (last in ENDS)
            assert ENDS.get(last, self.execution.state) is self.execution.state
            assert (self.execution.ended_at is not None) == self.execution.state.final

    @invariant()
    def each_person_decides_once_and_has_no_interest(self) -> None:
        for approval in self.approvals if self.history.log else ():
            people = [decision.by.id for decision in approval.decisions]
            assert len(people) == len(set(people))
            assert all(decision.digest == approval.digest for decision in approval.decisions)
            if not approval.policy.allow_initiator:
                interested = {
                    self.execution.initiator.id,
                    self.execution.on_behalf_of,
                    approval.requested_by.id,
                }
                assert interested.isdisjoint(people)

    @invariant()
    def decisions_resolve_exactly_when_a_threshold_is_reached(self) -> None:
        for approval in self.approvals if self.history.log else ():
            met = not quorum.outstanding(approval)
            rejections = sum(d.verdict is Verdict.REJECTED for d in approval.decisions)
            rejected = rejections >= approval.policy.rejections
            assert not (met and rejected)
            decided = approval.resolution is ResolutionCause.DECISIONS
            assert (met or rejected) == decided
            assert (approval.status is ApprovalStatus.GRANTED) == met
            assert (approval.resolved_at is None) == approval.pending

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
                assert before.status not in (ApprovalStatus.PENDING, ApprovalStatus.GRANTED)
                assert before.retry < approval.retry
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
            assert since <= {Claimed, Parked}

    @invariant()
    def nothing_of_a_worker_is_recorded_while_it_is_parked(self) -> None:
        if self.history.log and self.execution.parked is not None:
            since = {type(each.event) for each in self.history.log[self.execution.parked_version :]}
            assert since <= {
                ApprovalGranted,
                ApprovalRejected,
                Resumed,
                SignalReceived,
                TimerFired,
                ChildEnded,
            }

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


Aggregate.TestCase.settings = settings(max_examples=120, stateful_step_count=40)
TestAggregate = Aggregate.TestCase
