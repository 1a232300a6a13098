"""The page of operations: how the server is, its workers, and what stands still."""

from starlette.responses import Response

from api.console.views.executions import row_of
from api.console.visit import Visit, not_allowed
from application.workers.worker_list import read_workers
from domain import authorization
from projections.executions.query import ExecutionFilter, ExecutionOrder
from projections.querying.keyset_pages import BehindError

PARKED = 20


async def show(visit: Visit) -> Response:
    """Show it to those who read everything anyway."""
    if not authorization.sees_all(visit.principal):
        raise not_allowed(visit)
    health = visit.site.health
    wanted = ExecutionFilter(parked=True)
    try:
        page = await visit.services.executions.page(
            visit.principal, wanted, ExecutionOrder.UPDATED_DESC, first=PARKED
        )
        parked = [(row_of(row), row.parked) for row in page.rows]
        number: int | None = len(parked)
        if page.has_next:
            number = await visit.services.executions.count(visit.principal, wanted)
    except BehindError:
        # The read model is rebuilt, which this page says above.
        parked, number = None, 0
    return visit.page(
        "operations.html",
        health=health,
        unready=await health.unready(),
        queued=health.queued(),
        models=health.models(),
        leads=health.leads(),
        workers=await read_workers(visit.site.reads),
        parked=parked,
        parked_number=number,
    )
