"""Histories that the state machine makes: the audit and the read models judge them as it does."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis.stateful import invariant
from msgspec.structs import replace

from application.event_store.chained_events import Head, LoggedEvent
from application.event_store.verification.amendments import AmendmentsAudit
from application.event_store.verification.audit import Step
from application.event_store.verification.decisions import DecisionsAudit
from domain.approvals.eligibility import objections
from domain.approvals.events import (
    AmendmentContent,
    ApprovalAmended,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    Decided,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.authorization import may_decide, sees_approval, sees_execution
from domain.execution.events import (
    Recorded,
)
from domain.execution.evolve import evolve
from domain.execution.state import Execution
from domain.refusals import IllegalTransitionError
from domain.values import Actor
from projections.querying.hashed_terms import (
    absence_terms,
    audience,
    barred,
    barred_term,
    decided_term,
    deciders,
    eligible_terms,
)
from tests.domain.execution.command_machine import DECIDERS
from tests.domain.execution.test_state_machine import Approvals

MOMENT = timedelta(microseconds=1)
MALLORY = Actor(id="mallory")


def found(before: Execution | None, previous: Recorded | None, recorded: Recorded) -> bool:
    """Whether the audit finds something, or the event can't be folded at all."""
    try:
        after = evolve(before, recorded)
    except IllegalTransitionError:
        return True
    event = LoggedEvent(
        recorded=recorded, topic=recorded.event.topic, stored=b"", hash="", position=0
    )
    step = Step(event, previous, before, Head(after, "", 0))
    return any(list(audit.event(step)) for audit in (DecisionsAudit(), AmendmentsAudit()))


def manipulated(before: Execution, recorded: Recorded) -> Iterator[Recorded]:
    """Yield the event with a change that makes it wrong."""
    event = recorded.event
    match event:
        case Decided():
            yield from other_decisions(before, recorded, event)
        case ApprovalAmended():
            for wrong in other_amendments(event):
                yield replace(recorded, event=wrong)
        case DecisionRetracted() | DelegationTakenBack():
            yield replace(recorded, actor=MALLORY)
        case ApprovalDelegated():
            yield replace(recorded, event=replace(event, to=recorded.actor.id))
            yield replace(recorded, event=replace(event, groups=()), actor=MALLORY)
            yield replace(recorded, event=replace(event, source=recorded.version))
        case ApprovalExpired() | ApprovalEscalated():
            deadline = before.approvals[event.ordinal].current_deadline
            assert deadline is not None
            yield replace(recorded, at=deadline - MOMENT)
            if isinstance(event, ApprovalEscalated):
                assert event.deadline is not None
                yield replace(recorded, event=replace(event, deadline=event.deadline + MOMENT))
                yield replace(recorded, event=replace(event, groups=("gardeners",)))
        case ApprovalReminded():
            yield replace(recorded, at=event.due_at - MOMENT)
            yield replace(recorded, event=replace(event, due_at=event.due_at - MOMENT))
        case _:
            pass


def other_decisions(before: Execution, recorded: Recorded, event: Decided) -> Iterator[Recorded]:
    """Yield the decision with a change that makes it wrong."""
    yield replace(recorded, event=replace(event, digest="sha256:other"))
    yield replace(recorded, event=replace(event, stage=event.stage + 1))
    yield replace(recorded, event=replace(event, resolves=not event.resolves))
    if event.substitution is None:
        yield replace(recorded, event=replace(event, on_behalf_of="mallory"))
        yield replace(recorded, event=replace(event, groups=()), actor=MALLORY)
    else:
        # Who is whose substitute is looked up in the log, by another audit.
        yield replace(recorded, event=replace(event, substitution=None))
        yield replace(recorded, event=replace(event, on_behalf_of=recorded.actor.id))
        yield replace(recorded, event=replace(event, on_behalf_of=None))
    yield replace(recorded, event=replace(event, rule="user:mallory"))
    if not before.approvals[event.ordinal].policy.allow_initiator:
        yield replace(recorded, actor=before.initiator)


def other_amendments(event: ApprovalAmended) -> Iterator[ApprovalAmended]:
    """Yield the amendment with a change that makes it wrong."""
    payload, patch = event.content.payload, event.content.patch
    forged: tuple[Any, ...] = (None, [], 5, [*patch, {"op": "add", "path": "/-", "value": 1}])
    for other in forged:
        yield replace(event, content=AmendmentContent(payload=payload, patch=other))
    yield replace(event, content=AmendmentContent(payload="other", patch=patch))
    yield replace(event, seen_digest="sha256:other")
    yield replace(event, digest="sha256:other")
    yield replace(event, payload_digest="sha256:other")


class Judged(Approvals):
    """The state machine, with the audit of its events and the terms of the read models."""

    def teardown(self) -> None:
        state: Execution | None = None
        previous: Recorded | None = None
        for each in self.history.log:
            recorded = replace(each, command_id=self.commands[each.version])
            assert not found(state, previous, recorded)
            if state is not None:
                for wrong in manipulated(state, recorded):
                    assert found(state, previous, wrong), wrong
            state, previous = evolve(state, recorded), recorded

    @invariant()
    def read_models_say_who_can_see_and_decide(self) -> None:
        for approval in self.approvals if self.history.log else ():
            seen = set(audience(self.execution, approval))
            asked, excluded = set(deciders(approval)), set(barred(self.execution, approval))
            for person in DECIDERS:
                terms = eligible_terms(person)
                absent = [(absence_terms(each), each.id) for each in person.stands_in_for]
                visible = not seen.isdisjoint([*terms, decided_term(person.id)]) or any(
                    not seen.isdisjoint(covered) for covered, _ in absent
                )
                if not sees_execution(person, self.execution):
                    assert visible == sees_approval(person, self.execution, approval)
                decidable = barred_term(person.id) not in excluded and (
                    not asked.isdisjoint(terms)
                    or any(
                        not asked.isdisjoint(covered) and barred_term(name) not in excluded
                        for covered, name in absent
                    )
                )
                if may_decide(person):
                    assert decidable == (
                        approval.pending
                        and approval.decision_that_bars(person.id) is None
                        and not any(objections(person, self.execution, approval))
                    )


Judged.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestJudged = Judged.TestCase
