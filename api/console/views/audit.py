"""Events, decisions and what was waiting, as rows of lists and of files."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from api.console.views.requirements import requirement_text
from api.console.views.wording import TONES, VERDICT_NAMES
from api.schema.events import data_of
from application.event_store.chained_events import LoggedEvent
from domain.approvals.events import Decided
from domain.approvals.quorum import current_stage, outstanding
from domain.serialization.event_codec import Unreadable
from domain.values import Actor
from projections.approvals.query import ApprovalRow
from projections.decisions.record import DecisionRecord

EVENT_COLUMNS = (
    "position", "at", "type", "by", "by name", "workflow", "execution", "version", "data", "hash",
)  # fmt: skip
DECISION_COLUMNS = (
    "decided at", "verdict", "counts", "by", "by name", "in the place of", "groups", "rule",
    "stage", "workflow", "title", "approval", "asked at", "seconds taken", "comment",
    "taken back at", "approval is", "revoked at",
)  # fmt: skip
WAITING_COLUMNS = (
    "title", "workflow", "asked by", "for", "asked at", "seconds waited", "needs", "deadline",
    "approval",
)  # fmt: skip

MAX_NOTE = 200
# What says most about an event, the first that it has.
_NOTES = ("title", "comment", "text", "reason", "error", "name", "key")


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event in a list. ``note`` is what says most about it, ``by`` the id of who caused it."""

    position: int
    type: str
    by: str
    who: str
    at: datetime
    workflow: str | None
    execution_id: str
    address: str
    version: int
    note: str | None


def event_row(event: LoggedEvent, workflow: str | None) -> EventRow:
    """Return the row of an event."""
    recorded = event.recorded
    data = _data(event)
    # The key of a decision only tells a repeat from another decision.
    names = (name for name in _NOTES if name != "key" or not isinstance(recorded.event, Decided))
    notes = (data.get(name) for name in names)
    note = next((note for note in notes if isinstance(note, str) and note), None)
    return EventRow(
        position=event.position,
        type=type(recorded.event).__name__,
        by=recorded.actor.id,
        who=who(recorded.actor),
        at=recorded.at,
        workflow=workflow,
        execution_id=str(recorded.execution_id),
        address=_address(event),
        version=recorded.version,
        note=note if note is None or len(note) <= MAX_NOTE else f"{note[:MAX_NOTE]}…",
    )


def _address(event: LoggedEvent) -> str:
    """Return the page about an event's stream, or else the events of the stream."""
    recorded = event.recorded
    match event.topic.partition(".")[0]:
        case "standing-grant":
            return f"/standing-grants/{recorded.execution_id}"
        case "directory":
            return f"/audit?execution={recorded.execution_id}"
        case _:
            return f"/executions/{recorded.execution_id}/at?version={recorded.version}"


def event_cells(row: EventRow, event: LoggedEvent) -> list[Any]:
    """Return the cells of EVENT_COLUMNS."""
    return [
        row.position, row.at, row.type, row.by, event.recorded.actor.name, row.workflow,
        row.execution_id, row.version, _data(event), event.hash,
    ]  # fmt: skip


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A decision in a list. ``by`` is the id of who decided; None if nobody did."""

    approval_id: str
    title: str | None
    word: str
    tone: str
    by: str | None
    who: str
    place: str | None
    rule: str
    workflow: str
    decided_at: datetime
    took: timedelta
    comment: str | None
    taken_back: bool
    superseded: bool
    revoked: bool


def decision_row(record: DecisionRecord) -> DecisionRow:
    """Return the row of a decision."""
    verdict = record.verdict.value
    return DecisionRow(
        approval_id=str(record.approval_id),
        title=record.title,
        word=VERDICT_NAMES[verdict],
        tone=TONES[verdict],
        by=record.by.id,
        who=who(record.by),
        place=None if record.on_behalf_of is None else who(record.on_behalf_of),
        rule=record.rule,
        workflow=record.workflow,
        decided_at=record.decided_at,
        took=record.took,
        comment=record.comment,
        taken_back=record.retracted_at is not None,
        superseded=record.superseded,
        revoked=record.revoked_at is not None,
    )


def decision_cells(record: DecisionRecord) -> list[Any]:
    """Return the cells of DECISION_COLUMNS."""
    behalf = record.on_behalf_of
    counts = record.retracted_at is None and not record.superseded
    return [
        record.decided_at, record.verdict.value, counts, record.by.id,
        record.by.name, None if behalf is None else behalf.id, " ".join(record.groups),
        record.rule, record.stage, record.workflow, record.title, str(record.approval_id),
        record.asked_at, record.took.total_seconds(), record.comment, record.retracted_at,
        record.status.value, record.revoked_at,
    ]  # fmt: skip


class WaitingRow(msgspec.Struct, frozen=True, kw_only=True):
    """An approval as it waited at a moment. ``needs`` says in words for whom."""

    approval_id: str
    execution_id: str
    version: int
    title: str | None
    workflow: str
    asked_by: str
    on_behalf_of: str | None
    requested_at: datetime
    waited: timedelta
    needs: list[str]
    deadline: datetime | None


def waiting_row(
    row: ApprovalRow, at: datetime, text: Callable[..., str], plural: Callable[..., str]
) -> WaitingRow:
    """Return the row of an approval as it was at a moment."""
    execution, approval = row.execution, row.approval
    stage = current_stage(approval)
    return WaitingRow(
        approval_id=str(approval.id),
        execution_id=str(execution.id),
        version=execution.version,
        title=approval.title,
        workflow=execution.workflow,
        asked_by=who(execution.initiator),
        on_behalf_of=execution.on_behalf_of,
        requested_at=approval.requested_at,
        waited=at - approval.requested_at,
        needs=[
            requirement_text(each, each.count, text, plural)
            for each in outstanding(approval)
            if each.stage == stage
        ],
        deadline=approval.current_deadline,
    )


def waiting_cells(row: WaitingRow) -> list[Any]:
    """Return the cells of WAITING_COLUMNS."""
    return [
        row.title, row.workflow, row.asked_by, row.on_behalf_of, row.requested_at,
        row.waited.total_seconds(), "; ".join(row.needs), row.deadline, row.approval_id,
    ]  # fmt: skip


def who(actor: Actor) -> str:
    """Return a person's name with the id, or the id alone."""
    if not actor.name or actor.name == actor.id:
        return actor.id
    return f"{actor.name} ({actor.id})"


def _data(event: LoggedEvent) -> dict[str, Any]:
    recorded = event.recorded.event
    return {"reason": recorded.reason} if isinstance(recorded, Unreadable) else data_of(recorded)
