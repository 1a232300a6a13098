"""Whatever people do meanwhile, and wherever the server is killed: no use too many, none lost."""

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.approvals.commands import Decide, DelegateApproval, RetractDecision, use_key
from domain.approvals.state import Verdict
from domain.authorization import SERVICE
from domain.execution.commands import CancelExecution
from domain.execution.state import Execution
from domain.identifiers import ApprovalId
from domain.names import same_name
from domain.refusals import Refusal
from domain.standing_grants.events import StandingGrantUsed
from domain.standing_grants.matching import mismatch
from domain.standing_grants.state import StandingGrant
from tests.domain.ask import needs, policy
from tests.domain.people import ANN, BOB, CLEO, OLIVIA, approver
from tests.domain.standing_grants.world import World, revoke

DORA = approver("dora", "finance", "legal")
PEOPLE = (ANN, BOB, CLEO, DORA)
POLICIES = (
    policy(needs("finance")),
    policy(needs("finance", count=2)),
    policy(needs("finance"), needs("legal", stage=2)),
    policy(needs("finance"), needs("legal"), rejections=2),
    policy(needs("finance"), comment_required=True),
    policy(needs("finance", count=2), amendable=True),
)
people = st.sampled_from(PEOPLE)


class InAnyOrder(RuleBasedStateMachine):
    """People, executions, and a process manager that may be killed between any two commands."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(by=people, uses=st.integers(1, 3), called=st.sampled_from("abc"))
    def allow(self, by: Any, uses: int, called: str) -> None:
        self.attempt(lambda: self.world.allow(by, called, max_uses=uses))

    @rule(wanted=st.sampled_from(POLICIES), cost=st.sampled_from((100, 200)))
    def request(self, wanted: Any, cost: int) -> None:
        self.world.request(wanted=wanted, payload={"cost": cost})

    @precondition(lambda self: self.approvals())
    @rule(by=people, pick=st.integers(0, 9), verdict=st.sampled_from(Verdict))
    def decide(self, by: Any, pick: int, verdict: Verdict) -> None:
        id_, digest = self.picked(pick)
        self.attempt(
            lambda: self.world.do(
                Decide(
                    by=by,
                    execution_id=id_.execution_id,
                    ordinal=id_.ordinal,
                    verdict=verdict,
                    digest=digest,
                    comment="so it is",
                )
            )
        )

    @precondition(lambda self: self.approvals())
    @rule(by=people, pick=st.integers(0, 9), cost=st.sampled_from((50, 150, 300)))
    def amend(self, by: Any, pick: int, cost: int) -> None:
        id_, digest = self.picked(pick)
        command = Decide(
            by=by,
            execution_id=id_.execution_id,
            ordinal=id_.ordinal,
            verdict=Verdict.GRANTED,
            digest=digest,
            amended_payload={"cost": cost},
        )
        self.attempt(lambda: self.world.do(command))

    @precondition(lambda self: self.approvals())
    @rule(by=people, to=people, pick=st.integers(0, 9))
    def delegate(self, by: Any, to: Any, pick: int) -> None:
        id_, _ = self.picked(pick)
        command = DelegateApproval(
            by=by, execution_id=id_.execution_id, ordinal=id_.ordinal, to=to.id
        )
        self.attempt(lambda: self.world.do(command))

    @precondition(lambda self: self.approvals())
    @rule(by=people, pick=st.integers(0, 9))
    def retract(self, by: Any, pick: int) -> None:
        id_, _ = self.picked(pick)
        command = RetractDecision(by=by, execution_id=id_.execution_id, ordinal=id_.ordinal)
        self.attempt(lambda: self.world.do(command))

    @precondition(lambda self: self.approvals())
    @rule(pick=st.integers(0, 9))
    def cancel(self, pick: int) -> None:
        id_, _ = self.picked(pick)
        command = CancelExecution(by=OLIVIA, execution_id=id_.execution_id, reason="no")
        self.attempt(lambda: self.world.do(command))

    @precondition(lambda self: self.grants())
    @rule(pick=st.integers(0, 9))
    def revoke(self, pick: int) -> None:
        grants = self.grants()
        grant = grants[pick % len(grants)]
        self.world.do(revoke(grant.id, grant.by.id if grant.by.id != "dora" else "olivia"))

    @rule(days=st.sampled_from((1, 8)))
    def time_passes(self, days: int) -> None:
        self.world.now += timedelta(days=days)

    @precondition(lambda self: self.world.handled < len(self.world.log))
    @rule(times=st.integers(1, 5))
    def the_process_manager_works(self, times: int) -> None:
        for _ in range(min(times, len(self.world.log) - self.world.handled)):
            self.world.handle_next()

    @precondition(lambda self: self.world.handled < len(self.world.log))
    @rule(done=st.integers(0, 2))
    def it_is_killed_in_the_middle(self, done: int) -> None:
        """The commands of one event are sent in part, and its position is not saved."""
        commands = self.world.commands(self.world.log[self.world.handled])
        self.world.carry_out(commands[:done])

    @rule(back=st.integers(1, 10))
    def another_leads_from_an_older_position(self, back: int) -> None:
        self.world.handled = max(self.world.handled - back, 0)

    @invariant()
    def no_use_is_above_what_was_allowed(self) -> None:
        for grant in self.grants():
            assert 0 <= grant.used <= grant.max_uses
            assert grant.used == len(grant.uses_that_count())

    @invariant()
    def each_decision_in_advance_is_a_use_and_no_use_is_two(self) -> None:
        made = Counter(
            (decision.standing_grant_id, approval.id, decision.key)
            for execution in self.executions()
            for approval in execution.approvals.values()
            for decision in approval.decisions
            if decision.standing_grant_id is not None
        )
        assert all(count == 1 for count in made.values())
        taken = {
            (grant.id, use.approval_id, f"{grant.id} {use.asked_version}")
            for grant in self.grants()
            for use in grant.uses_that_count()
        }
        assert made.keys() <= taken

    def teardown(self) -> None:
        """At the end the process manager handles all, and both sides say the same."""
        self.world.settle()
        for grant in self.grants():
            for use in grant.uses_that_count():
                approval = self.world.approval(use.approval_id)
                made_by = (grant.id, use_key(grant.id, use.asked_version))
                [decision] = [
                    d for d in approval.decisions if (d.standing_grant_id, d.key) == made_by
                ]
                assert decision.digest == use.digest
                assert same_name(decision.by.id, grant.by.id)
                execution = self.world.execution(use.approval_id.execution_id)
                amended = decision.digest != approval.digest
                assert amended or mismatch(grant, execution, approval) is None
        for recorded in self.world.log:
            if isinstance(recorded.event, StandingGrantUsed):
                assert recorded.actor == SERVICE.actor

    def attempt(self, ask: Any) -> None:
        """Ask for something that may be refused."""
        try:
            ask()
        except Refusal as refusal:
            assert refusal.message  # noqa: PT017 - any refusal is fine

    def picked(self, pick: int) -> tuple[ApprovalId, str]:
        approvals = self.approvals()
        return approvals[pick % len(approvals)]

    def executions(self) -> list[Execution]:
        return [each for each in self.world.streams.values() if isinstance(each, Execution)]

    def approvals(self) -> list[tuple[ApprovalId, str]]:
        return [(a.id, a.digest) for each in self.executions() for a in each.approvals.values()]

    def grants(self) -> list[StandingGrant]:
        return [each for each in self.world.streams.values() if isinstance(each, StandingGrant)]


TestInAnyOrder = InAnyOrder.TestCase
TestInAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
