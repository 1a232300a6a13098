"""Approvals in lists, and what all pages about approvals need."""

from datetime import datetime

import msgspec

from api.console.views.fields import Cell, facts
from api.console.views.wording import STATES, TONES
from domain.approvals.state import Approval, Decision
from domain.execution.state import Execution
from domain.values import Actor, Principal


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An approval in a list. ``order`` sorts as the list does."""

    id: str
    order: str
    title: str
    workflow: str
    asked_by: str
    on_behalf_of: str | None
    requested_at: datetime
    deadline: datetime | None
    facts: list[tuple[str, Cell]]
    status: str
    word: str
    tone: str
    ended_by: str | None
    mine: str | None


def name_of(actor: Actor) -> str:
    """Return a person by name, and by the id that counts if that is another."""
    if actor.name is None or actor.name == actor.id:
        return actor.id
    return f"{actor.name} ({actor.id})"


def row_of(execution: Execution, approval: Approval, viewer: Principal) -> Row:
    """Return an approval for a list."""
    deadline = approval.current_deadline
    due = "~" if deadline is None else deadline.isoformat()
    mine = decision_of(approval, viewer)
    last = approval.decisions[-1] if approval.decisions and not approval.pending else None
    return Row(
        id=str(approval.id),
        order=f"{due} {approval.requested_at.isoformat()} {approval.id}",
        title=approval.title or "",
        workflow=execution.workflow,
        asked_by=name_of(execution.initiator),
        on_behalf_of=execution.on_behalf_of,
        requested_at=approval.requested_at,
        deadline=approval.current_deadline,
        facts=facts(approval.payload),
        status=approval.status.value,
        word=STATES[approval.status.value],
        tone=TONES[approval.status.value],
        ended_by=None if last is None else name_of(last.by),
        mine=None if mine is None else mine.verdict.value,
    )


def decision_of(approval: Approval, viewer: Principal) -> Decision | None:
    """Return the viewer's decision that counts, None if there is none."""
    return next((d for d in reversed(approval.decisions_of(viewer.id)) if d.counts), None)
