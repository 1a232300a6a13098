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

from domain.approvals.policy import ExpiryAction, Policy, Requirement
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
    Recorded,
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
from domain.execution.state import Execution
from domain.serialization.event_codec import encode, hash_of
from domain.values import Actor, ExecutionState, Label

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
    ApprovalExpired(ordinal=2, action=ExpiryAction.GRANT),
    ApprovalWithdrawn(ordinal=2, content=ReasonContent(reason="Plans have changed")),
    ApprovalDelegated(ordinal=2, to="bob", content=DecisionContent(comment="Please take this")),
    ApprovalEscalated(ordinal=2, groups=("board", "owners")),
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
    Cancelled(content=ReasonContent(reason="No longer wanted")),
    Retried(),
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
