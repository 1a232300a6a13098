"""Events for tests: what has happened before, and who did it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from domain.approvals.document import document_digest, document_of
from domain.approvals.eligibility import counted_groups, rule_for
from domain.approvals.policy import ExpiryAction, Policy
from domain.approvals.state import Approval
from domain.authorization import SERVICE
from domain.execution.children import child_id
from domain.execution.events import (
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    Cancelled,
    ChildContent,
    ChildEnded,
    ChildStarted,
    Claimed,
    Completed,
    DecisionContent,
    ErrorContent,
    Event,
    Failed,
    Parked,
    ReasonContent,
    RequestContent,
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
from domain.serialization.canonical_json import canonical, digest
from domain.values import Actor, ExecutionState, Label
from tests.domain.ask import EXECUTION, HOUR, LATEST, PAYLOAD, Who, policy
from tests.domain.people import named
from tests.domain.recording import recorded


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


def escalated(*groups: str, ordinal: int = LATEST) -> Fact:
    def fact(state: Execution | None) -> Happened:
        event = ApprovalEscalated(ordinal=_approval(state, ordinal).ordinal, groups=groups)
        return Happened(named("engine").actor, event)

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


def completed(*, result: Any = None) -> Fact:
    return happened("engine", Completed(content=ResultContent(result=result)))


def failed(*, error: str = "it broke") -> Fact:
    return happened("engine", Failed(content=ErrorContent(error=error)))


def cancelled(*, reason: str = "no longer wanted") -> Fact:
    return happened("olivia", Cancelled(content=ReasonContent(reason=reason)))


def retried() -> Fact:
    return happened("olivia", Retried())


def _decided(
    event_type: type[ApprovalGranted | ApprovalRejected],
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
            rule=rule_for(person, approval),
            groups=counted_groups(person, approval),
            resolves=resolves,
            content=DecisionContent(comment=comment),
        )
        return Happened(person.actor, event)

    return fact


def _present(state: Execution | None) -> Execution:
    assert state is not None, "the history does not begin with started()"
    return state


def _approval(state: Execution | None, ordinal: int) -> Approval:
    approvals = _present(state).approvals
    return approvals[ordinal if ordinal != LATEST else len(approvals)]
