"""Queries for executions, by state, workflow, queue, initiator, labels and text."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.authorization import sees_all, sees_execution
from domain.execution.state import Execution
from domain.names import normal
from domain.serialization.state_codec import decode_state
from domain.values import ExecutionState, Label, Principal, Role
from projections.executions.projection import EXECUTIONS
from projections.querying.checkpoints import Checkpoints
from projections.querying.full_text import execution_text, query_text
from projections.querying.hashed_terms import label_terms, person_term
from projections.querying.keyset_pages import (
    Cursor,
    Instant,
    Page,
    decode_cursor,
    encode_cursor,
    page_of,
)
from projections.querying.page_query import PageQuery, Pool
from projections.querying.stored_rows import readable
from projections.querying.where_clause import WhereClause, storable


class ExecutionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that all executions of a page meet. None is no condition.

    One of the states, workflows, queues and initiators, but all of the labels. The bounds of time
    are exclusive, those of ``id_range`` inclusive. ``text`` is in the syntax of web searches.
    """

    states: tuple[ExecutionState, ...] | None = None
    parked: bool | None = None
    workflows: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    initiators: tuple[str, ...] | None = None
    labels: tuple[Label, ...] | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    id_range: tuple[UUID, UUID] | None = None
    text: str | None = None


class ExecutionOrder(StrEnum):
    """Executions of the same instant are in the order of their ids."""

    STARTED_DESC = "STARTED_DESC"
    STARTED_ASC = "STARTED_ASC"
    UPDATED_DESC = "UPDATED_DESC"


class _Cursor(Cursor[ExecutionOrder], frozen=True):
    instant: Instant
    id: UUID


class ExecutionQuery:
    """Pages of executions. A row is an execution without steps and approvals."""

    def __init__(self, pool: Pool, checkpoints: Checkpoints | None = None) -> None:
        self._query = PageQuery("executions", EXECUTIONS.version, pool, checkpoints)

    async def page(
        self,
        principal: Principal,
        filter: ExecutionFilter,  # noqa: A002 - the name that the contract gives it
        order: ExecutionOrder = ExecutionOrder.STARTED_DESC,
        *,
        first: int,
        after: str | None = None,
        at_least: int | None = None,
    ) -> Page[Execution]:
        """Return up to ``first`` executions that the principal sees, after the cursor.

        Raises BadCursorError for a cursor of another order, BadFilterError for a text of more
        than 500 characters, and BehindError if the read model does not reach the position
        ``at_least`` within five seconds.
        """
        conditions = _conditions(principal, filter)
        _seek(conditions, order, after)
        key = "updated_at" if order is ExecutionOrder.UPDATED_DESC else "started_at"
        position, bodies, shortened = await self._query.rows(
            conditions,
            [key, "id"],
            descending=order is not ExecutionOrder.STARTED_ASC,
            limit=first + 1,
            at_least=at_least,
        )
        rows = readable("executions", bodies, decode_state)
        cursors = [encode_cursor(_Cursor(order, getattr(row, key), row.id)) for row in rows]
        return page_of(
            rows,
            cursors,
            first=first,
            after=after,
            position=position,
            shortened=shortened or len(bodies) > first,
        )

    async def count(self, principal: Principal, filter: ExecutionFilter) -> int | None:  # noqa: A002
        """Count the executions that the principal sees; None if there are more than 10,000."""
        return await self._query.count(_conditions(principal, filter))

    async def matches(
        self,
        principal: Principal,
        filter: ExecutionFilter,  # noqa: A002
        execution: Execution,
    ) -> bool:
        """Return whether the filter matches an execution that need not be in the tables yet."""
        if not _matches(principal, filter, execution):
            return False
        if not filter.text or not filter.text.strip():
            return True
        return await self._query.holds(
            "to_tsvector('simple', %(document)s) @@ websearch_to_tsquery('simple', %(text)s)",
            {"document": execution_text(execution), "text": query_text(filter.text)},
        )


def _matches(principal: Principal, wanted: ExecutionFilter, execution: Execution) -> bool:
    initiators = None if wanted.initiators is None else {normal(one) for one in wanted.initiators}
    return (
        sees_execution(principal, execution)
        and (wanted.states is None or execution.state in wanted.states)
        and (wanted.parked is None or wanted.parked is (execution.parked is not None))
        and (wanted.workflows is None or execution.workflow in wanted.workflows)
        and (wanted.queues is None or execution.queue in wanted.queues)
        and (initiators is None or normal(execution.initiator.id) in initiators)
        and all(label in execution.labels for label in wanted.labels or ())
        and (wanted.started_after is None or execution.started_at > wanted.started_after)
        and (wanted.started_before is None or execution.started_at < wanted.started_before)
    )


def _conditions(principal: Principal, wanted: ExecutionFilter) -> WhereClause:
    conditions = WhereClause()
    _visible(conditions, principal)
    if wanted.initiators is not None:
        conditions.one_of("initiator", map(person_term, wanted.initiators))
    if wanted.workflows is not None:
        conditions.one_of("workflow", storable(wanted.workflows))
    if wanted.queues is not None:
        conditions.one_of("queue", storable(wanted.queues))
    if wanted.states is not None:
        conditions.one_of("state", wanted.states)
    if wanted.parked is not None:
        conditions.add("item.parked" if wanted.parked else "NOT item.parked")
    for label in label_terms(wanted.labels or ()):
        conditions.join("execution_labels", ("started_at", "id"), "label", label)
    if wanted.started_after is not None:
        conditions.add_for_each(
            "{}.started_at > %(started_after)s", started_after=wanted.started_after
        )
    if wanted.started_before is not None:
        conditions.add_for_each(
            "{}.started_at < %(started_before)s", started_before=wanted.started_before
        )
    if wanted.id_range is not None:
        low, high = wanted.id_range
        conditions.add("item.id BETWEEN %(low)s AND %(high)s", low=low, high=high)
    _with_words(conditions, wanted.text)
    return conditions


def _with_words(conditions: WhereClause, text: str | None) -> None:
    if text and text.strip():
        conditions.add(
            "EXISTS (SELECT FROM execution_terms AS terms WHERE terms.id = item.id"
            " AND terms.search @@ websearch_to_tsquery('simple', %(text)s))",
            text=query_text(text),
        )


def _visible(conditions: WhereClause, principal: Principal) -> None:
    """Add the rule of :func:`domain.authorization.sees_execution`."""
    if sees_all(principal):
        return
    if Role.ENGINE not in principal.roles:
        conditions.add("false")
    elif principal.queues is not None:
        conditions.one_of("queue", storable(sorted(principal.queues)))


def _seek(conditions: WhereClause, order: ExecutionOrder, after: str | None) -> None:
    if after is None:
        return
    cursor = decode_cursor(after, _Cursor, order)
    params = {"after_instant": cursor.instant, "after_id": cursor.id}
    match order:
        case ExecutionOrder.STARTED_DESC:
            conditions.add_for_each(
                "({0}.started_at, {0}.id) < (%(after_instant)s, %(after_id)s)", **params
            )
        case ExecutionOrder.STARTED_ASC:
            conditions.add_for_each(
                "({0}.started_at, {0}.id) > (%(after_instant)s, %(after_id)s)", **params
            )
        case ExecutionOrder.UPDATED_DESC:
            conditions.add(
                "(item.updated_at, item.id) < (%(after_instant)s, %(after_id)s)", **params
            )
