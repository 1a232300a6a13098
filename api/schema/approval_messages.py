"""The messages of the subscription to approvals: the approvals as they stand when they are sent."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

import strawberry
import structlog

from api.context import Context
from api.schema.nodes import Approval
from api.schema.positions import position_of
from application.event_store.chained_events import DAMAGE, LoggedEvent, as_execution
from application.event_store.reader import Transition
from application.subscriptions.event_tail import EventPage
from domain.execution.state import Execution
from domain.values import Principal
from projections.approvals.query import ApprovalFilter

_log = structlog.get_logger(__name__)


@strawberry.type(
    description="An approval that matches now or has changed, or one that no longer matches."
)
class ApprovalMessage:
    cursor: str = strawberry.field(description="Continue with it, as after, once this was handled.")
    approval: Approval | None = strawberry.field(
        description="The approval as it stands when the message is sent."
    )
    removed_id: strawberry.ID | None = strawberry.field(
        description="The id of the approval if it no longer matches; null if it matches."
    )


class Touched(NamedTuple):
    """An approval that an event was about: before the event, and as it stands."""

    event: LoggedEvent
    ordinal: int
    before: Execution | None
    now: Execution


async def approval_messages(
    context: Context, principal: Principal, wanted: ApprovalFilter, batch: EventPage
) -> AsyncIterator[ApprovalMessage]:
    """Give the messages about a batch of events.

    Each shows the approval as it stands, and not as it was after the event: who catches up would
    otherwise take a decided approval for a pending one.
    """
    for touched in await touched_approvals(context, batch):
        message = await message_about(context, principal, wanted, touched)
        if message is not None:
            yield message


async def touched_approvals(context: Context, batch: EventPage) -> list[Touched]:
    """Return what a batch of events is about, which is the same for all viewers."""
    about = {e.recorded.execution_id for e in batch.events if _ordinal(e) is not None}
    events = [e for e in batch.events if e.recorded.execution_id in about]
    transitions = await context.services.reader.transitions(events)
    present = await _present(context, batch, events, transitions)
    touched = []
    for event, transition in zip(events, transitions, strict=True):
        ordinal = _ordinal(event)
        if ordinal is None:
            continue
        if isinstance(transition, Exception):
            # One execution that can't be read must not end the stream of all others.
            _log.error(
                "approval_unreadable", id=str(event.recorded.execution_id), error=str(transition)
            )
            continue
        now = present[event.recorded.execution_id]
        before = None if transition.before is None else as_execution(transition.before)
        touched.append(Touched(event, ordinal, before, now))
    return touched


async def _present(
    context: Context,
    batch: EventPage,
    events: Sequence[LoggedEvent],
    transitions: Sequence[Transition | Exception],
) -> dict[UUID, Execution]:
    """Give the executions of the events as they stand."""
    states = {
        event.recorded.execution_id: as_execution(transition.after)
        for event, transition in zip(events, transitions, strict=True)
        if not isinstance(transition, Exception)
    }
    if batch.position < context.services.tail.position:
        # There are later events, maybe of these executions.
        for execution_id, state in states.items():
            with suppress(*DAMAGE):
                current = await context.services.reader.execution(execution_id)
                states[execution_id] = current or state
    return states


async def message_about(
    context: Context, principal: Principal, wanted: ApprovalFilter, touched: Touched
) -> ApprovalMessage | None:
    """Give the message about one event; None if the approval neither matches nor did before."""
    event, ordinal, before, now = touched
    matches = context.services.approvals.matches
    cursor, approval = position_of(event), now.approvals.get(ordinal)
    if approval is None:
        # Another database has taken over and lacks the event.
        return None
    if await matches(principal, wanted, now, approval):
        return ApprovalMessage(cursor=cursor, approval=Approval.of(now, approval), removed_id=None)
    earlier = None if before is None else before.approvals.get(ordinal)
    if before is None or earlier is None:
        return None
    if not await matches(principal, wanted, before, earlier):
        return None
    # Who saw it before the event sees it now: what makes an approval visible never ends.
    return ApprovalMessage(
        cursor=cursor,
        approval=Approval.of(now, approval),
        removed_id=strawberry.ID(str(approval.id)),
    )


def _ordinal(event: LoggedEvent) -> int | None:
    """Return the ordinal of the approval that an event is about, None if there is none."""
    ordinal: int | None = getattr(event.recorded.event, "ordinal", None)
    return ordinal
