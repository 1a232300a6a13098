"""The commands about approvals, by many people and in any order."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from domain.approvals.eligibility import objections
from domain.approvals.state import Approval, ApprovalStatus
from domain.values import Principal, Role
from tests.domain.ask import (
    act_on_deadline,
    ask_changes,
    claim_approval,
    comment,
    delegate,
    grant,
    redeem,
    reject,
    request,
    retract,
    revoke,
    take_back,
    unclaim_approval,
    withdraw,
)
from tests.domain.execution.command_machine import (
    DECIDERS,
    FITTING,
    HOUR,
    PEOPLE,
    POLICIES,
    Machine,
    amendments,
    back,
    deciders,
    delegates,
    digests,
    engines,
    fences,
    forms,
    given_answers,
    keys,
    maybe_keys,
    maybe_words,
    words,
)
from tests.domain.people import ENGINE, OTHER_ENGINE, principal


class ApprovalCommands(Machine):
    """Requests, what people say about them, and the time that passes."""

    @precondition(lambda self: self.execution.pending)
    @rule(pick=st.integers(0, 20), ask=st.sampled_from((grant, grant, grant, ask_changes, reject)))
    def decide_as_who_may(self, pick: int, ask: Any) -> None:
        approval = self.execution.pending_approvals()[0]
        if able := self.able(approval):
            answers = self.fitting(approval, pick) if ask is grant else None
            by = able[pick % len(able)]
            self.ask(ask(by, approval.ordinal, comment="so it is", answers=answers))

    @precondition(lambda self: any(a.policy.amendable for a in self.execution.pending_approvals()))
    @rule(pick=st.integers(0, 20), payload=st.integers(1, 4))
    def amend_as_who_may(self, pick: int, payload: int) -> None:
        pending = self.execution.pending_approvals()
        approval = next(each for each in pending if each.policy.amendable)
        if able := self.able(approval):
            self.ask(
                grant(
                    able[pick % len(able)],
                    approval.ordinal,
                    comment="so it is",
                    amended_payload=payload,
                    answers=self.fitting(approval, pick),
                )
            )

    @precondition(lambda self: self.execution.pending)
    @rule(pick=st.integers(0, 20), to=delegates)
    def delegate_as_who_may(self, pick: int, to: str) -> None:
        approval = self.execution.pending_approvals()[0]
        if able := self.able(approval):
            self.ask(delegate(to, able[pick % len(able)], approval.ordinal))

    @precondition(lambda self: self.execution.deadlines)
    @rule(late=st.booleans())
    def the_time_comes(self, late: bool) -> None:  # noqa: FBT001 - drawn
        ordinal, due_at = next(iter(self.execution.deadlines.items()))
        missing = due_at - self.history.now
        self.history.after(missing if late else missing - timedelta(microseconds=1))
        self.ask(act_on_deadline(ordinal=ordinal))

    def able(self, approval: Approval) -> list[Principal]:
        """Return those who may decide now."""
        return [
            person
            for person in DECIDERS
            if approval.decision_that_bars(person.id) is None
            and not any(objections(person, self.execution, approval))
        ]

    def fitting(self, approval: Approval, pick: int) -> Any:
        """Return answers that fit the form of the approval, None if it has no form."""
        return None if approval.form is None else FITTING[pick % len(FITTING)]

    @rule(
        by=st.sampled_from((ENGINE, ENGINE, principal("eva", Role.ENGINE), OTHER_ENGINE)),
        fence=fences,
        key=keys,
        payload=st.sampled_from((1, 1, 1, 2)),
        wanted=st.sampled_from(POLICIES),
        form=forms,
    )
    def request(
        self, by: Any, fence: int | None, key: str, payload: int, wanted: Any, form: Any
    ) -> None:
        self.ask(request(key, by, fence=fence, payload=payload, policy=wanted, form=form))

    @precondition(lambda self: self.execution.approvals)
    @rule(
        by=deciders,
        back=back,
        digest=digests,
        key=maybe_keys,
        comment=maybe_words,
        payload=amendments,
        answers=given_answers,
    )
    def grant(
        self,
        by: Any,
        back: int,
        digest: str | None,
        key: str | None,
        comment: str | None,
        payload: Any,
        answers: Any,
    ) -> None:
        self.ask(
            grant(
                by,
                self.ordinal(back),
                digest=digest,
                key=key,
                comment=comment,
                amended_payload=payload,
                answers=answers,
            )
        )

    @precondition(lambda self: self.execution.approvals)
    @rule(by=deciders, back=back, digest=digests)
    def reject(self, by: Any, back: int, digest: str | None) -> None:
        self.ask(reject(by, self.ordinal(back), digest=digest))

    @precondition(lambda self: self.execution.approvals)
    @rule(by=deciders, back=back, key=maybe_keys)
    def ask_changes(self, by: Any, back: int, key: str | None) -> None:
        self.ask(ask_changes(by, self.ordinal(back), key=key))

    @precondition(lambda self: any(approval.decisions for approval in self.approvals))
    @rule(by=deciders, back=back)
    def retract(self, by: Any, back: int) -> None:
        self.ask(retract(by, self.ordinal(back)))

    @precondition(lambda self: self.execution.pending)
    @rule(back=back, pick=st.integers(0, 9))
    def retract_one_that_was_made(self, back: int, pick: int) -> None:
        decisions = self.execution.approvals[self.ordinal(back)].counting_decisions
        if decisions:
            name = decisions[pick % len(decisions)].by.id
            self.ask(retract(PEOPLE[name], self.ordinal(back)))

    @precondition(lambda self: self.execution.pending)
    @rule(by=deciders, to=delegates, back=back)
    def delegate(self, by: Any, to: str, back: int) -> None:
        self.ask(delegate(to, by, self.ordinal(back)))

    @precondition(lambda self: any(approval.delegations for approval in self.approvals))
    @rule(by=deciders, back=back)
    def take_back(self, by: Any, back: int) -> None:
        self.ask(take_back(by, self.ordinal(back)))

    @precondition(lambda self: self.execution.approvals)
    @rule(by=deciders, back=back)
    def revoke(self, by: Any, back: int) -> None:
        self.ask(revoke(by, self.ordinal(back)))

    @precondition(lambda self: self.execution.approvals)
    @rule(by=deciders, back=back, key=words, text=words)
    def comment(self, by: Any, back: int, key: str, text: str) -> None:
        self.ask(comment(text, by, self.ordinal(back), key=key))

    @precondition(lambda self: self.execution.approvals)
    @rule(by=deciders, back=back, claims=st.booleans())
    def claim_approval(self, by: Any, back: int, claims: bool) -> None:  # noqa: FBT001 - drawn
        self.ask((claim_approval if claims else unclaim_approval)(by, self.ordinal(back)))

    @precondition(lambda self: self.execution.approvals)
    @rule(back=back)
    def act_on_deadline(self, back: int) -> None:
        self.ask(act_on_deadline(ordinal=self.ordinal(back)))

    @precondition(lambda self: self.execution.deadlines)
    @rule(hours=st.sampled_from((-1, 1, 2, 5)))
    def time_passes(self, hours: int) -> None:
        self.history.after(hours * HOUR)

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
