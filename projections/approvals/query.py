"""Queries for approvals, by status, by who may decide, by groups, workflow and text."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from domain.approvals.eligibility import objections
from domain.approvals.state import Approval, ApprovalStatus
from domain.authorization import may_decide, sees_all, sees_approval
from domain.execution.state import Execution
from domain.identifiers import MAX_ORDINAL
from domain.serialization.state_codec import decode_state
from domain.values import Principal, Role
from projections.approvals.projection import APPROVALS
from projections.querying.checkpoints import Checkpoints
from projections.querying.full_text import approval_text, query_text
from projections.querying.hashed_terms import (
    barred_term,
    decided_term,
    eligible_terms,
    group_terms,
)
from projections.querying.keyset_pages import (
    Cursor,
    Instant,
    Page,
    decode_cursor,
    encode_cursor,
    page_of,
)
from projections.querying.page_query import PageQuery, Pool
from projections.querying.where_clause import WhereClause, storable
from projections.runtime.read_model import header

_DECIDABLE = (
    "item.status = 'PENDING' AND item.audience && %(eligible)s::uuid[]"
    " AND NOT item.barred @> ARRAY[%(viewer)s::uuid]"
)


class ApprovalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that all approvals of a page meet. None is no condition.

    One of the statuses and one of the workflows; a requirement names one of the ``groups``.
    ``decidable_by_viewer``: whether the viewer can decide now. ``deadline_before`` is exclusive.
    ``text`` is in the syntax of web searches.
    """

    statuses: tuple[ApprovalStatus, ...] | None = None
    decidable_by_viewer: bool | None = None
    groups: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    execution_id: UUID | None = None
    deadline_before: datetime | None = None
    text: str | None = None


class ApprovalOrder(StrEnum):
    """Approvals without a deadline come after all that have one, in the order requested."""

    REQUESTED_ASC = "REQUESTED_ASC"
    REQUESTED_DESC = "REQUESTED_DESC"
    DEADLINE_ASC = "DEADLINE_ASC"


class ApprovalRow(msgspec.Struct, frozen=True):
    """An approval, and its execution without steps and approvals.

    The execution is as it was at the last event of this approval. Only what never changes after the
    start is sure to be current.
    """

    execution: Execution
    approval: Approval


class _Cursor(Cursor[ApprovalOrder], frozen=True):
    deadline: Instant | None
    requested_at: Instant
    execution_id: UUID
    ordinal: Annotated[int, msgspec.Meta(ge=1, le=MAX_ORDINAL)]


class ApprovalQuery:
    """Pages of approvals, and the same conditions for a single approval."""

    def __init__(self, pool: Pool, checkpoints: Checkpoints | None = None) -> None:
        self._query = PageQuery("approvals", APPROVALS.version, pool, checkpoints)

    async def page(
        self,
        principal: Principal,
        filter: ApprovalFilter,  # noqa: A002 - the name that the contract gives it
        order: ApprovalOrder = ApprovalOrder.REQUESTED_ASC,
        *,
        first: int,
        after: str | None = None,
        at_least: int | None = None,
    ) -> Page[ApprovalRow]:
        """Return up to ``first`` approvals that the principal sees, after the cursor.

        Raises BadCursorError for a cursor of another order, BadFilterError for a text of more
        than 500 characters, and BehindError if the read model does not reach the position
        ``at_least`` within five seconds.
        """
        conditions = _conditions(principal, filter)
        _seek(conditions, order, after)
        keys = ["requested_at", "execution_id", "ordinal"]
        position, bodies = await self._query.rows(
            conditions,
            ["due", *keys] if order is ApprovalOrder.DEADLINE_ASC else keys,
            descending=order is ApprovalOrder.REQUESTED_DESC,
            limit=first + 1,
            at_least=at_least,
        )
        rows = [_row(body) for body in bodies]
        cursors = [encode_cursor(_cursor(order, row.approval)) for row in rows]
        return page_of(rows, cursors, first=first, after=after, position=position)

    async def count(self, principal: Principal, filter: ApprovalFilter) -> int | None:  # noqa: A002
        """Count the approvals that the principal sees; None if there are more than 10,000."""
        return await self._query.count(_conditions(principal, filter))

    async def matches(
        self,
        principal: Principal,
        filter: ApprovalFilter,  # noqa: A002
        execution: Execution,
        approval: Approval,
    ) -> bool:
        """Return whether the filter matches an approval that need not be in the tables yet."""
        if not _matches(principal, filter, execution, approval):
            return False
        if not filter.text or not filter.text.strip():
            return True
        return await self._query.holds(
            "to_tsvector('simple', %(document)s) @@ websearch_to_tsquery('simple', %(text)s)",
            {"document": approval_text(execution, approval), "text": query_text(filter.text)},
        )


def _matches(
    principal: Principal, wanted: ApprovalFilter, execution: Execution, approval: Approval
) -> bool:
    return (
        sees_approval(principal, execution, approval)
        and (wanted.statuses is None or approval.status in wanted.statuses)
        and (
            wanted.decidable_by_viewer is None
            or wanted.decidable_by_viewer is _decidable(principal, execution, approval)
        )
        and (wanted.groups is None or _names_any(approval, wanted.groups))
        and (wanted.workflows is None or execution.workflow in wanted.workflows)
        and (wanted.execution_id is None or execution.id == wanted.execution_id)
        and (
            wanted.deadline_before is None
            or (approval.deadline is not None and approval.deadline < wanted.deadline_before)
        )
    )


def _names_any(approval: Approval, groups: tuple[str, ...]) -> bool:
    return any(r.named_groups(groups) for r in approval.policy.requirements)


def _decidable(principal: Principal, execution: Execution, approval: Approval) -> bool:
    return (
        approval.pending
        and approval.decision_that_bars(principal.id) is None
        and next(objections(principal, execution, approval), None) is None
    )


def _conditions(principal: Principal, wanted: ApprovalFilter) -> WhereClause:
    conditions = WhereClause()
    _visible(conditions, principal)
    if wanted.execution_id is not None:
        conditions.one_of("execution_id", [wanted.execution_id])
    if wanted.workflows is not None:
        conditions.one_of("workflow", storable(wanted.workflows))
    if wanted.statuses is not None:
        conditions.one_of("status", wanted.statuses)
    if wanted.groups is not None:
        conditions.add("item.audience && %(groups)s::uuid[]", groups=group_terms(wanted.groups))
    if wanted.decidable_by_viewer is not None:
        _decidable_by(conditions, principal, wanted=wanted.decidable_by_viewer)
    if wanted.deadline_before is not None:
        conditions.add("item.due < %(deadline_before)s", deadline_before=wanted.deadline_before)
    if wanted.text and wanted.text.strip():
        conditions.add(
            "EXISTS (SELECT FROM approval_terms AS terms"
            " WHERE terms.execution_id = item.execution_id AND terms.ordinal = item.ordinal"
            " AND terms.search @@ websearch_to_tsquery('simple', %(text)s))",
            text=query_text(wanted.text),
        )
    return conditions


def _visible(conditions: WhereClause, principal: Principal) -> None:
    """Add the rule of :func:`domain.authorization.sees_approval`."""
    engine, approver = Role.ENGINE in principal.roles, Role.APPROVER in principal.roles
    if sees_all(principal) or (engine and principal.queues is None):
        return
    queues = storable(sorted(principal.queues or ()))
    seen = [*eligible_terms(principal), decided_term(principal.id)]
    if engine and approver:
        conditions.add(
            "(item.queue = ANY(%(served)s) OR item.audience && %(seen)s::uuid[])",
            served=queues,
            seen=seen,
        )
    elif engine:
        conditions.one_of("queue", queues)
    elif approver:
        conditions.add("item.audience && %(seen)s::uuid[]", seen=seen)
    else:
        conditions.add("false")


def _decidable_by(conditions: WhereClause, principal: Principal, *, wanted: bool) -> None:
    """Add the rules of eligibility, and that the viewer has not decided yet."""
    if not may_decide(principal):
        conditions.add("false" if wanted else "true")
        return
    conditions.add(
        _DECIDABLE if wanted else f"NOT ({_DECIDABLE})",
        eligible=eligible_terms(principal),
        viewer=barred_term(principal.id),
    )


def _seek(conditions: WhereClause, order: ApprovalOrder, after: str | None) -> None:
    if after is None:
        return
    cursor = decode_cursor(after, _Cursor, order)
    params = {
        "after_due": cursor.deadline,
        "after_instant": cursor.requested_at,
        "after_execution": cursor.execution_id,
        "after_ordinal": cursor.ordinal,
    }
    match order:
        case ApprovalOrder.REQUESTED_ASC:
            conditions.add(
                "(item.requested_at, item.execution_id, item.ordinal)"
                " > (%(after_instant)s, %(after_execution)s, %(after_ordinal)s)",
                **params,
            )
        case ApprovalOrder.REQUESTED_DESC:
            conditions.add(
                "(item.requested_at, item.execution_id, item.ordinal)"
                " < (%(after_instant)s, %(after_execution)s, %(after_ordinal)s)",
                **params,
            )
        case ApprovalOrder.DEADLINE_ASC if cursor.deadline is None:
            # An equality for the first column, because PostgreSQL's planner estimates a comparison
            # of rows by its first column alone, and would expect no row beyond infinity.
            conditions.add(
                "item.due = 'infinity' AND (item.requested_at, item.execution_id, item.ordinal)"
                " > (%(after_instant)s, %(after_execution)s, %(after_ordinal)s)",
                **params,
            )
        case ApprovalOrder.DEADLINE_ASC:
            conditions.add(
                "(item.due, item.requested_at, item.execution_id, item.ordinal)"
                " > (%(after_due)s::timestamptz, %(after_instant)s, %(after_execution)s,"
                " %(after_ordinal)s)",
                **params,
            )


def _cursor(order: ApprovalOrder, approval: Approval) -> _Cursor:
    return _Cursor(order, approval.deadline, approval.requested_at, *approval.id)


def _row(body: bytes) -> ApprovalRow:
    execution = decode_state(body)
    [approval] = execution.approvals.values()
    return ApprovalRow(header(execution), approval)
