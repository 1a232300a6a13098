"""The page of one execution."""

from datetime import UTC, datetime

from starlette.responses import Response

from api.console.family_tree import tree_of
from api.console.forms import query
from api.console.live import Message, last_seen, streamed
from api.console.views import approvals
from api.console.views.approvals import name_of
from api.console.views.executions import Row, row_of, steps_of, value_lines
from api.console.views.state_diagram import NARROW, WIDE, diagram_of
from api.console.views.timeline import entries_of, timeline_of
from api.console.visit import Visit, not_found
from api.schema.authorized_lookups import visible_execution
from application.event_store.chained_events import LoggedEvent
from application.subscriptions.event_tail import EventPage
from domain import authorization
from domain.execution.events import Cancelled, Parked, Retried, SignalReceived
from domain.execution.state import Execution
from domain.execution.transitions import allowed
from domain.values import Principal

DRAWN = 1_000
LISTED = 100


async def show(visit: Visit) -> Response:
    """Show an execution."""
    return await page_of(visit)


async def stream(visit: Visit) -> Response:
    """Send a message when something happened. The page then reads itself again."""
    execution = await found_execution(visit)

    async def messages(events: EventPage, principal: Principal) -> list[Message]:
        seen = authorization.sees_execution(principal, execution)
        return [Message("changed", None)] if seen and events.events else []

    return streamed(visit, last_seen(visit), messages, execution_id=execution.id)


async def found_execution(visit: Visit) -> Execution:
    """Return the execution of the address. Raises PageError."""
    execution = await visible_execution(visit.context, visit.request.path_params["id"])
    if execution is None:
        raise not_found(visit)
    return execution


async def page_of(visit: Visit, *, refusal: str = "", status: int = 200) -> Response:
    """Fill the page of the execution that the address names."""
    position = visit.services.tail.position
    execution = await found_execution(visit)
    events = await visit.services.reader.history(execution.id, limit=DRAWN)
    after = min(visit.query.number("after") or 0, execution.version)
    listed = await _listed(visit, execution, events, after)
    last = after + len(listed)
    ended = execution.ended_at
    end = ended or max(datetime.now(UTC), execution.updated_at)
    if len(events) < execution.version:
        # The drawing ends where it was cut.
        end = events[-1].recorded.at
    before = events[after - 1].recorded.at if 0 < after <= len(events) else None
    return visit.page(
        "execution.html",
        status=status,
        execution=execution,
        row=row_of(execution),
        started_by=name_of(execution.initiator),
        diagram=diagram_of(events, execution.state, WIDE),
        narrow_diagram=diagram_of(events, execution.state, NARROW),
        timeline=timeline_of(events, end),
        drawn=len(events),
        entries=entries_of(listed, before),
        next_events=query(after=last) if last < execution.version else None,
        first_events=after > 0,
        steps=steps_of(execution, events),
        approvals=[
            approvals.row_of(execution, approval, visit.principal)
            for approval in execution.approvals_in_order()
        ],
        timers=sorted(execution.timers.values(), key=lambda timer: timer.set_version),
        signals=[
            (signal, value_lines(signal.payload))
            for signal in sorted(execution.signals.values(), key=lambda one: one.version)
        ],
        parent=await _parent(visit, execution),
        children=await tree_of(visit, execution),
        input=value_lines(execution.input),
        result=value_lines(execution.result),
        actions=_actions(visit.principal, execution),
        refusal=refusal,
        position=position,
    )


async def _listed(
    visit: Visit, execution: Execution, events: list[LoggedEvent], after: int
) -> list[LoggedEvent]:
    if after + LISTED <= len(events) or len(events) == execution.version:
        return events[after : after + LISTED]
    return await visit.services.reader.history(execution.id, after=after, limit=LISTED)


async def _parent(visit: Visit, execution: Execution) -> Row | None:
    """Return the parent, None if there is none that the viewer may see."""
    if execution.parent is None:
        return None
    parent = await visible_execution(visit.context, str(execution.parent.execution_id))
    return None if parent is None else row_of(parent)


def _actions(viewer: Principal, execution: Execution) -> set[str]:
    """Return what an operator can do now, by the rules and the transition table."""
    if authorization.OPERATORS.isdisjoint(viewer.roles):
        return set()
    parked = execution.parked is not None
    possible = {
        "signal": allowed(execution.state, SignalReceived),
        "cancel": allowed(execution.state, Cancelled),
        "retry": allowed(execution.state, Retried),
        "park": allowed(execution.state, Parked) and not parked,
        "unpark": parked,
    }
    return {name for name, can in possible.items() if can}
