"""The list of executions, with filters that are in the address."""

from contextlib import suppress
from typing import NamedTuple

from starlette.responses import Response

from api.console.forms import Form, query
from api.console.live import Message, last_seen, streamed
from api.console.views.executions import order_of, row_of
from api.console.views.wording import STATES
from api.console.visit import Visit, not_allowed
from application.event_store.chained_events import DAMAGE
from application.subscriptions.event_tail import EventPage
from domain import authorization
from domain.execution.state import Execution
from domain.values import ExecutionState, Principal
from projections.executions.query import ExecutionFilter, ExecutionOrder

PAGE = 50
PATH = "/executions"
PAUSE = 0.2
"""Seconds between two messages to a list. Executions can change more often than anybody reads."""


class Search(NamedTuple):
    """What the address asks for."""

    text: str | None
    state: ExecutionState | None
    workflow: str | None
    queue: str | None
    initiator: str | None
    parked: bool

    @property
    def active(self) -> bool:
        """Whether it leaves anything out."""
        return any(self)

    @property
    def narrow(self) -> bool:
        """Whether it has more than a text and a state."""
        return bool(self.workflow or self.queue or self.initiator or self.parked)

    def address(self, *, path: str = PATH, **more: str | int | None) -> str:
        """Return the address of a page with this search."""
        return path + query(
            q=self.text,
            state=None if self.state is None else self.state.value,
            workflow=self.workflow,
            queue=self.queue,
            initiator=self.initiator,
            parked="yes" if self.parked else None,
            **more,
        )

    def in_state(self, state: str) -> str:
        """Return the address of the same search for another state, "" for all."""
        return self._replace(state=ExecutionState(state) if state else None).address()

    def filter(self) -> ExecutionFilter:
        """Return the filter of the read model."""

        def one(value: str | None) -> tuple[str, ...] | None:
            return None if value is None else (value,)

        return ExecutionFilter(
            states=None if self.state is None else (self.state,),
            parked=True if self.parked else None,
            workflows=one(self.workflow),
            queues=one(self.queue),
            initiators=one(self.initiator),
            text=self.text,
        )


async def show(visit: Visit) -> Response:
    """Show a page of executions, the latest first."""
    if not authorization.sees_events(visit.principal):
        raise not_allowed(visit)
    search, model = _search(visit), visit.services.executions
    page = await model.page(
        visit.principal,
        search.filter(),
        ExecutionOrder.STARTED_DESC,
        first=PAGE,
        after=visit.query.word("after"),
        at_least=visit.services.tail.position,
    )
    rows = [row_of(row) for row in page.rows]
    whole = not page.has_next and not page.has_previous
    count = len(page.rows) if whole else await model.count(visit.principal, search.filter())
    return visit.page(
        "executions.html",
        rows=rows,
        whole=whole,
        count=count,
        search=search,
        here=search.address(),
        place="executions",
        views=await visit.site.views.of(visit.principal.id, "executions"),
        named=search.active,
        states={state.value: STATES[state.value] for state in ExecutionState},
        next_page=search.address(after=page.cursors[-1]) if page.has_next else None,
        first_page=search.address() if page.has_previous else None,
        stream=None
        if page.has_previous
        else search.address(
            path=f"{PATH}/stream",
            after=page.position,
            until=rows[-1].order if page.has_next else None,
        ),
    )


async def stream(visit: Visit) -> Response:
    """Tell a list what has started and what has changed, as it happens.

    ``until`` in the address is the order of the last row of a list that goes on: what comes after
    it is on another page.
    """
    if not authorization.sees_events(visit.principal):
        raise not_allowed(visit)
    wanted, until = _search(visit).filter(), visit.query.word("until")

    async def messages(events: EventPage, principal: Principal) -> list[Message]:
        changed = dict.fromkeys(event.recorded.execution_id for event in events.events)
        told = []
        for id_ in changed:
            with suppress(*DAMAGE):
                execution = await visit.services.reader.execution(id_)
                if execution is None or not authorization.sees_execution(principal, execution):
                    continue
                if until is not None and order_of(execution) > until:
                    continue
                matches = await visit.services.executions.matches(principal, wanted, execution)
                told.append(Message("execution", _change(visit, execution, gone=not matches)))
        return told

    return streamed(visit, last_seen(visit), messages, pause=PAUSE)


def _change(visit: Visit, execution: Execution, *, gone: bool) -> dict[str, object]:
    row = row_of(execution)
    html = visit.fragment("execution_row.html", row=row, gone=gone)
    return {"id": row.id, "order": row.order, "gone": gone, "html": html}


def address_of(path: str, given: Form) -> str | None:
    """Return the address of the list with its filters alone; None if the path is another."""
    return _search_in(given).address() if path == PATH else None


def _search(visit: Visit) -> Search:
    return _search_in(visit.query)


def _search_in(given: Form) -> Search:
    state = given.word("state")
    return Search(
        text=given.word("q"),
        state=ExecutionState(state) if state in set(ExecutionState) else None,
        workflow=given.word("workflow"),
        queue=given.word("queue"),
        initiator=given.word("initiator"),
        parked=given.word("parked") == "yes",
    )
