"""Event contracts frozen on disk: what was once stored is read for ever.

``python -m tests.domain.golden`` writes the files that are missing and never touches one that is
there. A changed event gets a new topic, and the file of the old one stays.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from rpds import HashTrieMap

from domain.approvals.events import (
    AmendmentContent,
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
    CommentContent,
    DecisionContent,
    DecisionRetracted,
    DelegationTakenBack,
    RequestContent,
)
from domain.approvals.policy import ExpiryAction, Policy, Requirement
from domain.directory.events import (
    CalendarChanged,
    PersonContent,
    PersonDeactivated,
    PersonReactivated,
    PersonRecorded,
    SubstituteContent,
    SubstituteEnded,
    SubstituteSet,
)
from domain.directory.key_events import (
    ApiKeyAdopted,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeyRotated,
)
from domain.directory.state import PersonSource
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
    Recorded,
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
from domain.execution.state import Execution
from domain.serialization.event_codec import encode, hash_of
from domain.standing_grants.events import (
    StandingGrantContent,
    StandingGrantCreated,
    StandingGrantRevoked,
    StandingGrantUsed,
    StandingGrantUseReturned,
)
from domain.values import Actor, ExecutionState, Label, ParentEnd, Role

DIRECTORY = Path(__file__).parents[1] / "golden"
STREAM = DIRECTORY / "stream-travel-permit.json"

_POLICY = Policy(
    requirements=(
        Requirement(count=2, groups=("finance", "managers")),
        Requirement(users=("cleo",)),
    ),
    rejections=2,
    allow_initiator=True,
    on_expiry=ExpiryAction.ESCALATE,
    escalate_to=("board",),
)
_DIGEST = "sha256:" + "d1" * 32
_PAYLOAD_DIGEST = "sha256:" + "fa" * 32

# One of each type, with every field that it has filled in.
SAMPLES: tuple[Event, ...] = (
    Started(
        workflow="travel",
        workflow_version="2026.3",
        queue="trips",
        key="trip-17",
        on_behalf_of="ann",
        content=StartedContent(
            input={"to": "Zürich \U0001f682", "cost": 120.5, "days": 3, "extras": [None, True]},
            labels=(Label(name="team", value="maths"), Label(name="year", value="")),
        ),
    ),
    Claimed(worker="worker-1", fence=3),
    CleanUpDeclared(),
    StepCompleted(
        key="book-1", name="book", attempt=2, content=ResultContent(result={"seat": "4A"})
    ),
    StepFailed(
        key="book-1", name="book", attempt=1, content=ErrorContent(error='no "seat" left\n')
    ),
    ApprovalRequested(
        ordinal=2,
        key="permit",
        round=1,
        policy=_POLICY,
        payload_digest=_PAYLOAD_DIGEST,
        digest=_DIGEST,
        deadline=datetime(2026, 4, 1, 12, 30, 0, 1, tzinfo=UTC),
        content=RequestContent(
            title="A trip to Zürich",
            description="Three days by train",
            payload={"cost": 120.5},
            form={"type": "object"},
        ),
    ),
    ApprovalAmended(
        ordinal=2,
        seen_digest="sha256:" + "5e" * 32,
        digest=_DIGEST,
        payload_digest=_PAYLOAD_DIGEST,
        content=AmendmentContent(
            payload={"cost": 90}, patch=[{"op": "replace", "path": "/cost", "value": 90}]
        ),
    ),
    ApprovalGranted(
        ordinal=2,
        digest=_DIGEST,
        rule="group:finance",
        groups=("finance", "managers"),
        resolves=True,
        on_behalf_of="bob",
        content=DecisionContent(
            comment="Have fun", answers={"class": "second"}, on_behalf_of_name="Bob B."
        ),
    ),
    ApprovalRejected(
        ordinal=2,
        digest=_DIGEST,
        rule="user:cleo",
        groups=(),
        resolves=True,
        on_behalf_of="bob",
        content=DecisionContent(
            comment="Too dear", answers={"class": "first"}, on_behalf_of_name="Bob B."
        ),
    ),
    ApprovalChangesRequested(
        ordinal=2,
        digest=_DIGEST,
        rule="group:finance",
        groups=("finance",),
        resolves=True,
        stage=2,
        key="call-9",
        content=DecisionContent(comment="By train, please"),
    ),
    DecisionRetracted(
        ordinal=2, decision_version=7, content=DecisionContent(comment="I misread it")
    ),
    ApprovalRevoked(ordinal=2, content=ReasonContent(reason="The trip is off")),
    ApprovalCommented(
        ordinal=2,
        text_digest=_PAYLOAD_DIGEST,
        key="call-10",
        content=CommentContent(text="Which train?"),
    ),
    ApprovalClaimed(ordinal=2),
    ApprovalUnclaimed(ordinal=2),
    ApprovalExpired(ordinal=2, action=ExpiryAction.GRANT),
    ApprovalWithdrawn(ordinal=2, content=ReasonContent(reason="Plans have changed")),
    ApprovalDelegated(ordinal=2, to="bob", content=DecisionContent(comment="Please take this")),
    DelegationTakenBack(ordinal=2, delegation_version=9),
    ApprovalEscalated(ordinal=2, groups=("board", "owners")),
    ApprovalReminded(ordinal=2, due_at=datetime(2026, 4, 1, 11, 30, tzinfo=UTC)),
    Resumed(),
    ApprovalRedeemed(ordinal=2, payload_digest=_PAYLOAD_DIGEST, redemption_key="booking-9"),
    TimerSet(
        key="reminder",
        delay=timedelta(days=30, seconds=1, microseconds=5),
        until=datetime(2026, 4, 1, 12, 30, 0, 1, tzinfo=UTC),
    ),
    TimerFired(key="reminder"),
    TimerCancelled(key="reminder"),
    SignalReceived(key="delivery-3", name="ticket", content=SignalContent(payload={"gate": "B 7"})),
    ChildStarted(
        key="hotel",
        round=2,
        child_id=UUID("0190f1a6-0000-7000-8000-0000000000cc"),
        workflow="lodging",
        workflow_version="2026.1",
        queue="trips",
        on_parent_end=ParentEnd.CANCEL,
        content=StartedContent(input={"nights": 2}, labels=(Label(name="team", value="maths"),)),
    ),
    ChildEnded(
        key="hotel",
        round=2,
        outcome=ExecutionState.FAILED,
        content=ChildContent(result={"room": 12}, error="No room left"),
    ),
    Suspended(),
    Parked(content=ReasonContent(reason="step 'book-3' was expected, step 'pay-3' came")),
    Unparked(),
    Completed(content=ResultContent(result={"booked": True})),
    Failed(content=ErrorContent(error="The train is cancelled")),
    CancellationRequested(content=ReasonContent(reason="No longer wanted")),
    Cancelled(content=ReasonContent(reason="No longer wanted")),
    Retried(),
    StandingGrantCreated(
        workflow="travel",
        key="permit",
        max_uses=20,
        expires_at=datetime(2026, 5, 1, tzinfo=UTC),
        groups=("finance", "managers"),
        roles=(Role.APPROVER, Role.AUDITOR),
        idempotency_key="spring",
        content=StandingGrantContent(
            payload_schema={"properties": {"cost": {"maximum": 150}}}, comment="Short trips"
        ),
    ),
    StandingGrantUsed(
        approval_id="0190f1a6-0000-7000-8000-0000000000ac.2", digest=_DIGEST, asked_version=4
    ),
    StandingGrantUseReturned(
        approval_id="0190f1a6-0000-7000-8000-0000000000ac.2",
        asked_version=4,
        content=ReasonContent(reason="The approval was withdrawn"),
    ),
    StandingGrantRevoked(content=ReasonContent(reason="Spring is over")),
    PersonRecorded(
        person="ann",
        groups=("finance", "managers"),
        roles=(Role.APPROVER,),
        source=PersonSource.SCIM,
        external_id="00u1",
        provisioned_id=UUID("0190f1a6-0000-7000-8000-000000000009"),
        content=PersonContent(
            name="Ann", emails=("ann@example.org",), details={"title": "Tour guide"}
        ),
    ),
    PersonDeactivated(content=ReasonContent(reason="She has left")),
    PersonReactivated(content=ReasonContent(reason="She is back")),
    SubstituteSet(
        number=1,
        substitute="bob",
        groups=("finance",),
        starts_at=datetime(2026, 8, 1, tzinfo=UTC),
        ends_at=datetime(2026, 8, 15, tzinfo=UTC),
        content=SubstituteContent(comment="Holidays"),
    ),
    ApiKeyCreated(
        name="ci",
        owner="ann",
        roles=(Role.APPROVER,),
        groups=("finance",),
        queues=("default",),
        expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        token_hash="5e" * 32,
    ),
    ApiKeyAdopted(
        name="old",
        owner="ann",
        roles=(Role.APPROVER,),
        groups=("finance",),
        queues=("default",),
        expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        token_hash="5e" * 32,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        created_by="adam",
        generation=2,
        rotated_at=datetime(2026, 2, 1, tzinfo=UTC),
        rotated_by="adam",
        previous_hash="6f" * 32,
        previous_until=datetime(2026, 2, 2, tzinfo=UTC),
    ),
    ApiKeyRotated(
        generation=2, token_hash="6f" * 32, previous_until=datetime(2026, 4, 1, tzinfo=UTC)
    ),
    ApiKeyRevoked(),
    CalendarChanged(
        name="office",
        definition={"zone": "Europe/Berlin", "hours": {"monday": ["09:00-17:00"]}},
    ),
    SubstituteEnded(number=1, content=ReasonContent(reason="Back early")),
)


def in_envelope(event: Event) -> Recorded:
    """Put an event into an envelope with every field filled in, at version 2."""
    return Recorded(
        execution_id=UUID("0190f1a6-0000-7000-8000-0000000000aa"),
        version=2,
        at=datetime(2026, 3, 2, 12, 0, 0, 250_001, tzinfo=UTC),
        actor=Actor(id="engine", name="The Engine"),
        command_id=UUID("0190f1a6-0000-7000-8000-0000000000c0"),
        correlation_id=UUID("0190f1a6-0000-7000-8000-0000000000c1"),
        causation_id=UUID("0190f1a6-0000-7000-8000-0000000000c2"),
        trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        previous_hash="ab" * 32,
        event=event,
    )


def row_of(recorded: Recorded) -> dict[str, Any]:
    """Return what the log holds for an event, as a JSON object."""
    topic, stored = recorded.event.topic, encode(recorded)
    return {
        "topic": topic,
        "executionId": str(recorded.execution_id),
        "version": recorded.version,
        "stored": stored.decode(),
        "hash": hash_of(recorded.execution_id, recorded.version, topic, stored),
    }


def rendered(value: Recorded | Execution) -> dict[str, Any]:
    """Return an event or a state as a JSON object, the maps of a state sorted by their keys."""
    built = msgspec.to_builtins(value, str_keys=True, enc_hook=_map)
    if isinstance(value, Recorded):
        built["type"] = type(value.event).__name__
    rendering: dict[str, Any] = json.loads(json.dumps(built))
    return rendering


def _map(value: Any) -> Any:
    if isinstance(value, HashTrieMap):
        return dict(sorted(value.items()))
    raise NotImplementedError(type(value))


def _write_missing(path: Path, content: dict[str, Any]) -> None:
    if not path.exists():
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        path.write_text(text, encoding="utf-8")


def _main() -> None:
    from tests.domain.recorded_stream import permit  # noqa: PLC0415 - it needs this module

    for event in SAMPLES:
        recorded = in_envelope(event)
        _write_missing(
            DIRECTORY / f"{event.topic}.json",
            {**row_of(recorded), "decoded": rendered(recorded)},
        )
    history = permit()
    _write_missing(
        STREAM,
        {"events": [row_of(each) for each in history.log], "state": rendered(history.state)},
    )


if __name__ == "__main__":
    _main()
