"""Events for tests: what has happened before, and who did it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from domain.approvals.amendment import amend
from domain.approvals.commands import Decide
from domain.approvals.document import document_digest, document_of
from domain.approvals.eligibility import rule_for
from domain.approvals.events import (
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
    CommentContent,
    Decided,
    DecisionContent,
    DecisionRetracted,
    DelegationTakenBack,
    RequestContent,
)
from domain.approvals.places import Place, place_of
from domain.approvals.policy import ExpiryAction, Policy
from domain.approvals.state import Approval, Verdict
from domain.authorization import SERVICE
from domain.execution.event import (
    Event,
    ReasonContent,
)
from domain.execution.events import (
    CancellationRequested,
    Cancelled,
    ChildContent,
    ChildEnded,
    ChildStarted,
    Claimed,
    CleanUpDeclared,
    Completed,
    ErrorContent,
    Failed,
    Parked,
    ResultContent,
    Resumed,
    Retried,
    SignalContent,
    SignalReceived,
    Started,
    StartedContent,
    StepCompleted,
    StepFailed,
    Suspended,
    TimerCancelled,
    TimerFired,
    TimerSet,
    Unparked,
)
from domain.execution.evolve import evolve
from domain.execution.state import Execution
from domain.identifiers import child_id
from domain.serialization.canonical_json import canonical, digest
from domain.values import Actor, ExecutionState, Label, Principal
from tests.domain.ask import AMENDED, EXECUTION, HOUR, LATEST, PAYLOAD, Who, policy
from tests.domain.people import named
from tests.domain.recording import NOON, recorded


class Happened(NamedTuple):
    """An event and who caused it."""

    actor: Actor
    event: Event


Fact = Callable[[Execution | None], Happened]


def happened(by: Who, event: Event) -> Fact:
    """Return an event as it is, caused by this principal."""
    return lambda _state: Happened(named(by).actor, event)


def started(
    by: Who = "olivia",
    *,
    workflow: str = "travel",
    queue: str = "default",
    input: Any = None,  # noqa: A002 - the event's own word
    labels: tuple[Label, ...] = (),
    **rest: Any,
) -> Fact:
    content = StartedContent(input=input, labels=labels)
    return happened(by, Started(workflow=workflow, queue=queue, content=content, **rest))


def claimed(worker: str = "worker-1", by: Who = "engine") -> Fact:
    def fact(state: Execution | None) -> Happened:
        fence = _present(state).fence + 1
        return Happened(named(by).actor, Claimed(worker=worker, fence=fence))

    return fact


def step_completed(key: str = "book", *, attempt: int = 1, result: Any = None) -> Fact:
    content = ResultContent(result=result)
    return happened("engine", StepCompleted(key=key, name=key, attempt=attempt, content=content))


def step_failed(key: str = "book", *, attempt: int = 1, error: str = "no seat left") -> Fact:
    content = ErrorContent(error=error)
    return happened("engine", StepFailed(key=key, name=key, attempt=attempt, content=content))


def requested(
    key: str = "permit",
    by: Who = "engine",
    *,
    title: str = "Trip to Eindhoven",
    payload: Any = PAYLOAD,
    policy: Policy = policy(),  # noqa: B008 - a policy is immutable
    round: int = 1,  # noqa: A002 - the event's own word
) -> Fact:
    def fact(state: Execution | None) -> Happened:
        present, actor = _present(state), named(by).actor
        event = ApprovalRequested(
            ordinal=len(present.approvals) + 1,
            key=key,
            round=round,
            policy=policy,
            payload_digest=digest(canonical(payload)),
            digest="",
            content=RequestContent(title=title, payload=payload),
        )
        # The document that the digest covers can be drawn up only for a folded request.
        after = evolve(present, recorded(present, actor, event))
        document = document_of(after, after.approvals[event.ordinal])
        event = ApprovalRequested(
            ordinal=event.ordinal,
            key=key,
            round=round,
            policy=policy,
            payload_digest=event.payload_digest,
            digest=document_digest(document, canonical(payload)),
            content=event.content,
        )
        return Happened(actor, event)

    return fact


def granted(by: Who = "ann", ordinal: int = LATEST, *, resolves: bool = True) -> Fact:
    return _decided(ApprovalGranted, by, ordinal, resolves=resolves, comment=None)


def amended(by: Who = "ann", ordinal: int = LATEST, *, payload: Any = AMENDED) -> Fact:
    def fact(state: Execution | None) -> Happened:
        approval, person = _approval(state, ordinal), named(by)
        command = Decide(
            by=person,
            execution_id=EXECUTION,
            ordinal=approval.ordinal,
            verdict=Verdict.GRANTED,
            digest=approval.digest,
            amended_payload=payload,
        )
        return Happened(person.actor, amend(_present(state), approval, command))

    return fact


def rejected(by: Who = "ann", ordinal: int = LATEST, *, resolves: bool = True) -> Fact:
    return _decided(ApprovalRejected, by, ordinal, resolves=resolves, comment="too dear")


def withdrawn(ordinal: int = LATEST, *, by: Who = "engine", reason: str = "not needed") -> Fact:
    def fact(state: Execution | None) -> Happened:
        event = ApprovalWithdrawn(
            ordinal=_approval(state, ordinal).ordinal, content=ReasonContent(reason=reason)
        )
        return Happened(named(by).actor, event)

    return fact


def expired(ordinal: int = LATEST, *, action: ExpiryAction = ExpiryAction.REJECT) -> Fact:
    def fact(state: Execution | None) -> Happened:
        event = ApprovalExpired(ordinal=_approval(state, ordinal).ordinal, action=action)
        return Happened(named("engine").actor, event)

    return fact


def delegated(to: str, by: Who = "ann", ordinal: int = LATEST) -> Fact:
    def fact(state: Execution | None) -> Happened:
        event = ApprovalDelegated(ordinal=_approval(state, ordinal).ordinal, to=to)
        return Happened(named(by).actor, event)

    return fact


def taken_back(by: Who = "ann", ordinal: int = LATEST) -> Fact:
    def fact(state: Execution | None) -> Happened:
        approval = _approval(state, ordinal)
        event = DelegationTakenBack(
            ordinal=approval.ordinal, delegation_version=approval.delegations[-1].version
        )
        return Happened(named(by).actor, event)

    return fact


def escalated(*groups: str, ordinal: int = LATEST) -> Fact:
    def fact(state: Execution | None) -> Happened:
        event = ApprovalEscalated(ordinal=_approval(state, ordinal).ordinal, groups=groups)
        return Happened(named("engine").actor, event)

    return fact


def changes_requested(by: Who = "ann", ordinal: int = LATEST, *, resolves: bool = True) -> Fact:
    return _decided(
        ApprovalChangesRequested, by, ordinal, resolves=resolves, comment="take the train"
    )


def retracted(by: Who = "ann", ordinal: int = LATEST) -> Fact:
    def fact(state: Execution | None) -> Happened:
        approval, actor = _approval(state, ordinal), named(by).actor
        event = DecisionRetracted(
            ordinal=approval.ordinal, decision_version=approval.decisions_of(actor.id)[-1].version
        )
        return Happened(actor, event)

    return fact


def revoked(by: Who = "ann", ordinal: int = LATEST, *, reason: str = "the trip is off") -> Fact:
    def fact(state: Execution | None) -> Happened:
        event = ApprovalRevoked(
            ordinal=_approval(state, ordinal).ordinal, content=ReasonContent(reason=reason)
        )
        return Happened(named(by).actor, event)

    return fact


def commented(text: str = "which train?", by: Who = "ann", ordinal: int = LATEST) -> Fact:
    def fact(state: Execution | None) -> Happened:
        event = ApprovalCommented(
            ordinal=_approval(state, ordinal).ordinal,
            text_digest=digest(canonical(text)),
            content=CommentContent(text=text),
        )
        return Happened(named(by).actor, event)

    return fact


def unclaimed_approval(by: Who = "ann", ordinal: int = LATEST) -> Fact:
    def fact(state: Execution | None) -> Happened:
        return Happened(
            named(by).actor, ApprovalUnclaimed(ordinal=_approval(state, ordinal).ordinal)
        )

    return fact


def claimed_approval(by: Who = "ann", ordinal: int = LATEST) -> Fact:
    def fact(state: Execution | None) -> Happened:
        return Happened(named(by).actor, ApprovalClaimed(ordinal=_approval(state, ordinal).ordinal))

    return fact


def reminded(ordinal: int = LATEST, *, due_at: datetime = NOON) -> Fact:
    def fact(state: Execution | None) -> Happened:
        event = ApprovalReminded(ordinal=_approval(state, ordinal).ordinal, due_at=due_at)
        return Happened(SERVICE.actor, event)

    return fact


def resumed(by: Who = "ann") -> Fact:
    return happened(by, Resumed())


def redeemed(ordinal: int = LATEST, *, key: str = "booking") -> Fact:
    def fact(state: Execution | None) -> Happened:
        approval = _approval(state, ordinal)
        event = ApprovalRedeemed(
            ordinal=approval.ordinal, payload_digest=approval.payload_digest, redemption_key=key
        )
        return Happened(named("engine").actor, event)

    return fact


def timer_set(key: str = "reminder", *, delay: timedelta = HOUR) -> Fact:
    return happened("engine", TimerSet(key=key, delay=delay))


def timer_fired(key: str = "reminder") -> Fact:
    return happened(SERVICE, TimerFired(key=key))


def timer_cancelled(key: str = "reminder") -> Fact:
    return happened("engine", TimerCancelled(key=key))


def signalled(name: str = "ticket", *, key: str = "delivery-1", payload: Any = None) -> Fact:
    content = SignalContent(payload=payload)
    return happened("olivia", SignalReceived(key=key, name=name, content=content))


def child_started(key: str = "hotel", *, round: int = 1) -> Fact:  # noqa: A002
    event = ChildStarted(
        key=key,
        round=round,
        child_id=child_id(EXECUTION, key, round),
        workflow="lodging",
        queue="default",
    )
    return happened("engine", event)


def child_ended(
    key: str = "hotel",
    *,
    round: int = 1,  # noqa: A002 - the event's own word
    outcome: ExecutionState = ExecutionState.COMPLETED,
    result: Any = None,
) -> Fact:
    content = ChildContent(result=result)
    return happened(SERVICE, ChildEnded(key=key, round=round, outcome=outcome, content=content))


def suspended() -> Fact:
    return happened("engine", Suspended())


def parked(*, reason: str = "another step came") -> Fact:
    return happened("engine", Parked(content=ReasonContent(reason=reason)))


def unparked() -> Fact:
    return happened("olivia", Unparked())


def clean_up_declared() -> Fact:
    return happened("engine", CleanUpDeclared())


def cancellation_requested(*, reason: str = "no longer wanted") -> Fact:
    return happened("olivia", CancellationRequested(content=ReasonContent(reason=reason)))


def completed(*, result: Any = None) -> Fact:
    return happened("engine", Completed(content=ResultContent(result=result)))


def failed(*, error: str = "it broke") -> Fact:
    return happened("engine", Failed(content=ErrorContent(error=error)))


def cancelled(*, reason: str = "no longer wanted") -> Fact:
    return happened("olivia", Cancelled(content=ReasonContent(reason=reason)))


def retried() -> Fact:
    return happened("olivia", Retried())


def _decided(
    event_type: type[Decided],
    by: Who,
    ordinal: int,
    *,
    resolves: bool,
    comment: str | None,
) -> Fact:
    def fact(state: Execution | None) -> Happened:
        approval, person = _approval(state, ordinal), named(by)
        event = event_type(
            ordinal=approval.ordinal,
            digest=approval.digest,
            rule=rule_for(_place(person, state, approval), approval),
            groups=tuple(sorted(person.groups)),
            resolves=resolves,
            content=DecisionContent(comment=comment),
        )
        return Happened(person.actor, event)

    return fact


def _place(person: Principal, state: Execution | None, approval: Approval) -> Place:
    place = place_of(person, _present(state), approval)
    assert place is not None
    return place


def _present(state: Execution | None) -> Execution:
    assert state is not None, "the history does not begin with started()"
    return state


def _approval(state: Execution | None, ordinal: int) -> Approval:
    approvals = _present(state).approvals
    return approvals[ordinal if ordinal != LATEST else len(approvals)]
