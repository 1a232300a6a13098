"""The history of an execution: the events that a replay gives to its workflow, in which order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.structs import replace

from placet._util.positions import number_of
from placet._util.tracing import tracer
from placet.client.queries import Queries
from placet.engine.failure_codec import is_doubt
from placet.errors import Internal, Nondeterministic
from placet.models.enums import ApprovalStatus, ExecutionState, ResolutionCause
from placet.models.responses import ApprovalRecord
from placet.models.rules import RESOLVED_BY, WAKING
from placet.models.worker_responses import Assignment, Past, Transcript

RESOLUTIONS = frozenset(RESOLVED_BY.values())
WAKES = WAKING - {"Unparked"}
"""Events that wake a waiting workflow. An execution that was unparked is claimed anew."""

_ASKED = {"ApprovalRequested", "ChildStarted", "TimerSet", "TimerCancelled"}
_REPLAYED = WAKES | {
    "StepCompleted",
    "StepFailed",
    "ApprovalRequested",
    "TimerSet",
    "TimerCancelled",
    "ChildStarted",
}

_PROGRESS = {
    "Started",
    "StepCompleted",
    "StepFailed",
    "ApprovalRequested",
    "ApprovalRedeemed",
    "ApprovalWithdrawn",
    "TimerSet",
    "TimerCancelled",
    "ChildStarted",
    "Suspended",
    "Unparked",
    "Retried",
}
"""What a worker records, and what a person does so that it is tried again."""

MARKER = "patched:"
"""Begins the keys of steps that record an answer of ``run.patched``."""
ALONE = "patched:placet:alone:"
"""Begins the keys of steps that record that a worker has begun the execution alone.

They are among those of ``run.patched``, which earlier versions of the sdk pass over.
"""
TOLD = "placet:asked:"
"""Begins the keys of steps that record that the workflow was told an approval's or child's id."""


class Event(NamedTuple):
    """An event as a run gets it.

    ``approval``: the one that was requested or resolved. ``trace``: the traceparent of the command
    that caused it, if that was asked for.
    """

    version: int
    position: int
    type: str
    at: datetime
    data: Mapping[str, Any]
    approval: ApprovalRecord | None = None
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionHistory:
    """The recorded events of an execution, up to ``version``.

    A workflow is replayed along ``first``, then along ``last``. If the execution failed and was
    retried, ``between`` has by key the events after the first failure that the retry repeats. The
    workflow may take another path now, so these are given to it whenever it asks for their key, in
    any order. Failed attempts and approvals that were not granted are left out, because the retry
    attempts and requests them anew.

    ``tried``: the highest attempt number of each step. ``names``: by key, the name under which each
    step was recorded. ``latest``: by key, the version of the last record of a step. ``failed``: by
    key, how the last attempt of a step failed, without doubts. ``redeemed``: the ids of the
    approvals that were redeemed. ``marks``: the keys of the steps that record the answers of
    ``run.patched``. ``lost``: how many workers in a row were gone before they recorded anything,
    while there was work to do. ``alone``: how many of these had begun it alone, see
    ``lost_workers``. ``woken``: the version of the last event for which a worker may have waited.
    ``cause``: the traceparent of that event, or else of the first.
    """

    version: int
    woken: int = 0
    cause: str | None = None
    lost: int = 0
    alone: int = 0
    state: ExecutionState = ExecutionState.RUNNING
    first: Sequence[Event] = ()
    between: Mapping[str, Sequence[Event]] = field(default_factory=dict)
    last: Sequence[Event] = ()
    tried: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    latest: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    redeemed: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()

    def wakes(self, after: int) -> list[Event]:
        """Return the events after a version for which a worker may have waited."""
        return [e for e in (*self.first, *self.last) if e.version > after and e.type in WAKES]


async def load(queries: Queries, execution_id: str) -> ExecutionHistory:
    """Read the history of an execution from the log. Raises RequestError."""
    transcript = await queries.transcript(execution_id, traces=tracer() is not None)
    if transcript is None:
        # Without its history the workflow would repeat what it did.
        msg = f"the record of execution {execution_id} can't be read: the service has no such one"
        raise Internal(msg)
    return arranged(transcript)


def arranged(transcript: Transcript) -> ExecutionHistory:
    """Arrange the events for a replay. Raises Nondeterministic if their content was destroyed."""
    approvals = transcript.approvals
    events = [_event(each, approvals) for each in transcript.events]
    replayed = [e for e in events if _replayed(e)]
    retried = max((e.version for e in events if e.type == "Retried"), default=0)
    first: list[Event] = replayed
    between: dict[str, list[Event]] = {}
    last: list[Event] = []
    if retried:
        kept = _kept([e for e in events if e.version <= retried])
        first, between = _before(replayed, kept, _first_end(events), retried)
        last = [e for e in replayed if e.version > retried]
    tried: dict[str, int] = {}
    names: dict[str, str] = {}
    latest: dict[str, int] = {}
    failed: dict[str, str] = {}
    lost, alone = _lost(events)
    for event in events:
        if event.type in {"StepCompleted", "StepFailed"}:
            key = event.data["key"]
            names[key] = event.data["name"]
            latest[key] = event.version
            tried[key] = max(tried.get(key, 0), event.data["attempt"])
            if event.type == "StepFailed" and not is_doubt(event.data["error"]):
                failed[key] = event.data["error"]
    return ExecutionHistory(
        version=events[-1].version,
        woken=max((e.version for e in events if _woke(e)), default=0),
        cause=next((e.trace for e in reversed(events) if _woke(e)), events[0].trace),
        lost=lost,
        alone=alone,
        state=transcript.execution.state,
        first=first,
        between=between,
        last=last,
        tried=tried,
        names=names,
        latest=latest,
        failed=failed,
        marks=frozenset(key for key in tried if key.startswith(MARKER)),
        redeemed=frozenset(a.id for a in approvals if a.redeemed_at is not None),
    )


def _lost(events: Sequence[Event]) -> tuple[int, int]:
    """Count the lost workers since the last progress, and those of them that had begun it alone."""
    lost = alone = 0
    taken_over = False
    for event in reversed(events):
        if _begun_alone(event):
            alone += taken_over
            taken_over = False
        elif event.type in _PROGRESS:
            break
        elif event.type == "Claimed":
            taken_over = bool(event.data.get("takenOver"))
            lost += taken_over
    return lost, alone


def _begun_alone(event: Event) -> bool:
    return event.type == "StepCompleted" and event.data["key"].startswith(ALONE)


def _event(past: Past, approvals: Sequence[ApprovalRecord]) -> Event:
    if past.data is None:
        msg = f"the content of version {past.version} was destroyed, so it can't be replayed"
        raise Nondeterministic(msg)
    ordinal = past.data.get("ordinal")
    approval = approvals[ordinal - 1] if ordinal and ordinal <= len(approvals) else None
    if approval is not None and approval.status is ApprovalStatus.REVOKED:
        approval = _before_revocation(approval, past)
    return Event(
        past.version,
        number_of(past.position),
        past.type,
        past.at,
        past.data,
        approval,
        past.traceparent,
    )


def _before_revocation(approval: ApprovalRecord, past: Past) -> ApprovalRecord:
    """Return an approval that was revoked later, as the workflow was told of it at this event."""
    if past.type == "ApprovalRevoked":
        return approval
    by_expiry = past.type == "ApprovalExpired"
    return replace(
        approval,
        status=ApprovalStatus.GRANTED,
        resolution=ResolutionCause.EXPIRY if by_expiry else ResolutionCause.DECISIONS,
        resolved_at=past.at,
    )


def _replayed(event: Event) -> bool:
    told = event.type in _REPLAYED and event.data.get("resolves", True)
    return told and not _begun_alone(event)


def _woke(event: Event) -> bool:
    return (event.type in WAKES and event.data.get("resolves", True)) or event.type == "Unparked"


def _first_end(events: Iterable[Event]) -> int:
    return min(e.version for e in events if e.type == "Failed")


def _kept(events: Iterable[Event]) -> frozenset[str]:
    """Return the ids of the approvals that the retries among the events did not ask for again.

    They are, of each key, a last round whose grant can be used, and the rounds that led to it.
    """
    rounds: dict[str, list[str]] = {}
    usable: dict[str, ApprovalRecord] = {}
    for event in events:
        approval = event.approval
        if event.type == "Retried":
            for ids in rounds.values():
                last = usable.get(ids[-1])
                if last is None or last.lapsed(event.at):
                    ids.clear()
            rounds = {key: ids for key, ids in rounds.items() if ids}
        elif approval is None:
            continue
        elif event.type == "ApprovalRequested":
            rounds.setdefault(approval.key, []).append(approval.id)
        elif event.type == "ApprovalRevoked":
            usable.pop(approval.id, None)
        elif event.type in RESOLUTIONS and approval.status is ApprovalStatus.GRANTED:
            usable[approval.id] = approval
    return frozenset(id_ for ids in rounds.values() for id_ in ids)


def _before(
    replayed: Sequence[Event], kept: frozenset[str], failed: int, retried: int
) -> tuple[list[Event], dict[str, list[Event]]]:
    """Split what came before a retry: in order up to the turn, by key after it.

    The turn is the first event from which on the workflow may take another path. ``kept``: the
    approvals that are not asked for again.
    """
    lost = {
        (e.data["key"], e.data["round"])
        for e in replayed
        if e.type == "ChildEnded" and e.data["outcome"] != ExecutionState.COMPLETED
    }
    completed = {
        e.data["key"] for e in replayed if e.version < failed and e.type == "StepCompleted"
    }
    cancelled = {
        e.data["key"]: e.version
        for e in replayed
        if e.version < retried and e.type == "TimerCancelled"
    }
    by_id = {e.approval.id: e.approval for e in replayed if e.approval is not None}

    def approval_of(event: Event) -> ApprovalRecord | None:
        """Return the approval that an event is about."""
        told = event.data.get("key", "")
        return event.approval or by_id.get(told.removeprefix(TOLD) if told.startswith(TOLD) else "")

    def repeated(event: Event) -> bool:
        """Whether the retry does again what this event records."""
        if event.type.startswith("Child"):
            return (event.data["key"], event.data["round"]) in lost
        if event.type.startswith("Timer"):
            # A cancelled timer is set anew, so that the retry has the whole time. One that an
            # earlier retry had set anew may have fired.
            return event.version <= cancelled.get(event.data["key"], 0)
        approval = approval_of(event)
        return event.type == "StepFailed" or not (approval is None or approval.id in kept)

    def heard(event: Event) -> bool:
        """Whether the workflow heard of the event. It does not of its own requests."""
        again = event.type == "StepFailed" and event.data["key"] in completed
        return event.type not in _ASKED and not again

    turn = min((e.version for e in replayed if repeated(e) and heard(e)), default=failed)
    turn = min(turn, failed)
    first: list[Event] = []
    between: dict[str, list[Event]] = {}
    for event in replayed:
        if event.version > retried or repeated(event):
            continue
        # Signals are matched by name and not by key, so they stay in order.
        if event.version < turn or event.type == "SignalReceived":
            first.append(event)
        else:
            approval = approval_of(event)
            key = approval.key if approval is not None else event.data["key"]
            between.setdefault(key, []).append(event)
    return first, between


def resolution(assignment: Assignment) -> Event:
    """Return the event by which an approval was resolved, from a message to the worker."""
    approval = assignment.resolved
    assert approval is not None
    assert assignment.version is not None
    assert assignment.position is not None
    assert approval.resolved_at is not None
    return Event(
        assignment.version,
        number_of(assignment.position),
        RESOLVED_BY[approval.status],
        approval.resolved_at,
        {},
        approval,
        assignment.traceparent,
    )
