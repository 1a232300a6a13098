"""Queries for the approvals that were pending at a moment, as they were then.

The read model says which ones were pending. The log says how each one was: who had decided, and who
was still asked.
"""

from datetime import datetime

from application.event_store.reader import Reader
from domain.approvals.state import ApprovalStatus
from domain.serialization.state_codec import decode_state
from domain.values import Principal
from projections.approvals.projection import APPROVALS
from projections.approvals.query import (
    ApprovalFilter,
    ApprovalOrder,
    ApprovalRow,
    conditions_of,
    cursor_of,
    seek,
)
from projections.approvals.span_classes import pending_at
from projections.querying.checkpoints import Checkpoints
from projections.querying.keyset_pages import BadFilterError, Page, page_of
from projections.querying.page_query import PageQuery, Pool
from projections.querying.where_clause import WhereClause
from projections.runtime.read_model import header

MOST = 100
"""Approvals of a page: for each one, events of its execution are read and folded."""


class PastApprovalQuery:
    """Pages of the approvals that were pending at a moment."""

    def __init__(self, pool: Pool, reader: Reader, checkpoints: Checkpoints | None = None) -> None:
        self._query = PageQuery("approvals", APPROVALS.version, pool, checkpoints)
        self._reader = reader

    async def page(
        self,
        principal: Principal,
        filter: ApprovalFilter,  # noqa: A002 - the name that the contract gives it
        order: ApprovalOrder = ApprovalOrder.REQUESTED_ASC,
        *,
        as_of: datetime,
        first: int,
        after: str | None = None,
        at_least: int | None = None,
    ) -> Page[ApprovalRow]:
        """Return up to ``first`` approvals that the principal sees now, at most MOST.

        An event of exactly that moment is included. Raises BadFilterError for a filter or an order
        that depends on more than the moment tells, and the errors of ApprovalQuery.page.
        """
        size = min(first, MOST)
        conditions = _conditions(principal, filter, as_of)
        if order is ApprovalOrder.DEADLINE_ASC:
            msg = "asOf has the orders REQUESTED_ASC and REQUESTED_DESC, not DEADLINE_ASC"
            raise BadFilterError(msg)
        seek(conditions, order, after)
        position, bodies, shortened = await self._query.rows(
            conditions,
            ["requested_at", "execution_id", "ordinal"],
            descending=order is ApprovalOrder.REQUESTED_DESC,
            limit=size + 1,
            at_least=at_least,
        )
        now = [next(iter(decode_state(body).approvals.values())) for body in bodies]
        page = page_of(
            now,
            [cursor_of(order, approval) for approval in now],
            first=size,
            after=after,
            position=position,
            shortened=shortened,
        )
        ids = {approval.id.execution_id for approval in page.rows}
        then = await self._reader.past.at_moment_of_each(list(ids), as_of)
        rows = []
        for approval in page.rows:
            execution = then[approval.id.execution_id]
            was = execution.approvals[approval.ordinal]
            rows.append(ApprovalRow(header(execution), was, altered=False))
        return Page(rows, page.cursors, page.has_next, page.has_previous, position)

    async def count(
        self,
        principal: Principal,
        filter: ApprovalFilter,  # noqa: A002
        *,
        as_of: datetime,
    ) -> int | None:
        """Count the approvals of all pages; None if there are more than 10,000."""
        return await self._query.count(_conditions(principal, filter, as_of))


def _conditions(principal: Principal, wanted: ApprovalFilter, as_of: datetime) -> WhereClause:
    if wanted.statuses is not None and wanted.statuses != (ApprovalStatus.PENDING,):
        msg = "asOf finds what was pending: leave filter.status out"
        raise BadFilterError(msg)
    if wanted.decidable_by_viewer is not None:
        msg = "asOf does not go with filter.decidableByViewer: groups of the past are not known"
        raise BadFilterError(msg)
    if wanted.deadline_before is not None:
        msg = "asOf does not go with filter.deadlineBefore: read the deadlines of what it finds"
        raise BadFilterError(msg)
    wanted = ApprovalFilter(
        groups=wanted.groups,
        workflows=wanted.workflows,
        execution_id=wanted.execution_id,
        execution_id_range=wanted.execution_id_range,
        text=wanted.text,
    )
    conditions = WhereClause().any_of(pending_at(as_of))
    return conditions_of(principal, wanted, conditions)
