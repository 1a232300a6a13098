"""The log for auditors: the latest events first, live, filtered by the address."""

from datetime import datetime
from typing import NamedTuple

import strawberry
from starlette.responses import Response

from api.console.csv_file import Row, download
from api.console.forms import query
from api.console.live import Message, last_seen, streamed
from api.console.pages.audit.search import LOG, PAGE, PARTS, check_viewer, moment
from api.console.views.audit import EVENT_COLUMNS, EventRow, event_cells, event_row
from api.console.visit import Visit
from api.schema.authorized_lookups import event_query
from api.schema.inputs import EventFilterInput
from application.event_store.chained_events import LoggedEvent
from application.subscriptions.event_tail import EventPage
from domain import authorization
from domain.values import Principal
from projections.events.query import TYPES, EventQuery

IN_A_FILE = 500
AT_ONCE = 50
"""New events that are shown of one message. Of more, these are the latest."""


class Search(NamedTuple):
    """What the address asks for."""

    type: str | None
    by: str | None
    execution: str | None
    workflow: str | None
    since: datetime | None
    until: datetime | None
    typed: tuple[str, str]

    @property
    def active(self) -> bool:
        """Whether it leaves anything out."""
        return any(self[:-1])

    def address(self, path: str = LOG, **more: str | int | None) -> str:
        """Return the address of a page with this search."""
        since, until = self.typed
        return path + query(
            type=self.type,
            by=self.by,
            execution=self.execution,
            workflow=self.workflow,
            since=since,
            until=until,
            **more,
        )


async def show(visit: Visit) -> Response:
    """Show a page of the log."""
    check_viewer(visit)
    search, before = _search(visit), visit.query.number("before")
    position = visit.services.tail.position
    page = await visit.services.events.latest(_wanted(visit, search), before=before, limit=PAGE)
    rows = [await _row(visit, event) for event in page.events]
    last = page.events[-1].position if page.events else None
    return visit.page(
        "audit/log.html",
        parts_of_audit=PARTS,
        part=LOG,
        search=search,
        types=sorted(TYPES),
        rows=rows,
        next_page=search.address(before=last) if page.more else None,
        first_page=search.address() if before else None,
        file=search.address(f"{LOG}/log.csv"),
        stream=None if before else search.address(f"{LOG}/stream", after=position),
    )


async def stream(visit: Visit) -> Response:
    """Tell the page of new events that match."""
    check_viewer(visit)
    search = _search(visit)
    wanted = _wanted(visit, search)

    async def messages(page: EventPage, principal: Principal) -> list[Message]:
        if not authorization.sees_all(principal):
            return []
        reader = visit.services.reader
        found = []
        for event in page.events:
            origin = await reader.origin_of(event) if wanted.asks_origin else None
            if wanted.matches(event, origin):
                found.append(event)
        told = []
        for event in found[-AT_ONCE:]:
            row = await _row(visit, event)
            told.append(Message("event", {"html": visit.fragment("audit/event.html", row=row)}))
        return told

    return streamed(visit, last_seen(visit), messages)


async def file(visit: Visit) -> Response:
    """Send all events that match, in the order of the log."""
    check_viewer(visit)
    wanted = _wanted(visit, _search(visit))

    async def rows(after: int | None) -> tuple[list[Row], int | None]:
        events, more = await visit.services.events.page(wanted, after=after or 0, limit=IN_A_FILE)
        cells: list[Row] = [event_cells(await _row(visit, event), event) for event in events]
        return cells, events[-1].position if more else None

    return download(visit, "placet-log", EVENT_COLUMNS, rows)


async def _row(visit: Visit, event: LoggedEvent) -> EventRow:
    origin = await visit.services.reader.origin_of(event)
    return event_row(event, None if origin is None else origin.workflow)


def _wanted(visit: Visit, search: Search) -> EventQuery:
    given = EventFilterInput(
        execution_id=None if search.execution is None else strawberry.ID(search.execution),
        types=None if search.type is None else [search.type],
        actor=None if search.by is None else [strawberry.ID(search.by)],
        workflow=None if search.workflow is None else [search.workflow],
        since=search.since,
        until=search.until,
    )
    return event_query(visit.context, given)


def _search(visit: Visit) -> Search:
    given = visit.query
    return Search(
        type=given.word("type"),
        by=given.word("by"),
        execution=given.word("execution"),
        workflow=given.word("workflow"),
        since=moment(visit, "since"),
        until=moment(visit, "until"),
        typed=(given.value("since").strip(), given.value("until").strip()),
    )
