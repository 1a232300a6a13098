"""Queries for approvals, by status, by who may decide, by groups, workflow and text."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from domain.approvals.eligibility import objections
from domain.approvals.state import Approval, ApprovalStatus
from domain.authorization import may_decide, sees_all, sees_approval
from domain.execution.state import Execution
from domain.identifiers import MAX_ORDINAL
from domain.names import normal
from domain.serialization.state_codec import decode_state
from domain.values import Principal, Role
from projections.approvals.document_digests import DocumentDigests
from projections.approvals.projection import APPROVALS
from projections.querying.checkpoints import Checkpoints
from projections.querying.full_text import approval_text, query_text
from projections.querying.hashed_terms import (
    absence_terms,
    asked_term,
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
from projections.querying.stored_rows import readable
from projections.querying.where_clause import WhereClause, storable
from projections.runtime.read_model import header

_log = structlog.get_logger(__name__)


_DECIDABLE = (
    "(item.status = 'PENDING' AND item.deciders && %(eligible)s::uuid[]"
    " AND NOT item.barred @> ARRAY[%(viewer)s::uuid])"
)
# An absent person must not be barred either. ``asked`` has the terms of the absent people,
# ``absent`` the person of each of them. The first condition on them finds the rows by the index.
_DECIDABLE_FOR_ABSENT = (
    "(item.status = 'PENDING' AND item.deciders && %(asked)s::uuid[]"
    " AND NOT item.barred @> ARRAY[%(viewer)s::uuid]"
    " AND EXISTS (SELECT FROM unnest(%(asked)s::uuid[], %(absent)s::uuid[]) AS place (term, person)"
    " WHERE item.deciders @> ARRAY[place.term] AND NOT item.barred @> ARRAY[place.person]))"
)


class ApprovalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that all approvals of a page meet. None is no condition.

    One of the statuses and one of the workflows; a requirement names one of the ``groups``, or it
    was escalated to one of them.
    ``decidable_by_viewer``: whether the viewer can decide now. ``decided_by`` is a person who has
    decided, ``asked_by`` one who started the execution, for whom it was started, or who requested
    the approval. ``deadline_before`` is exclusive,
    ``execution_id_range`` inclusive.
    ``text`` is in the syntax of web searches.
    """

    statuses: tuple[ApprovalStatus, ...] | None = None
    decidable_by_viewer: bool | None = None
    decided_by: str | None = None
    asked_by: str | None = None
    groups: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    execution_id: UUID | None = None
    deadline_before: datetime | None = None
    execution_id_range: tuple[UUID, UUID] | None = None
    text: str | None = None


class ApprovalOrder(StrEnum):
    """Approvals without a deadline come after all that have one, in the order requested."""

    REQUESTED_ASC = "REQUESTED_ASC"
    REQUESTED_DESC = "REQUESTED_DESC"
    DEADLINE_ASC = "DEADLINE_ASC"


class ApprovalRow(msgspec.Struct, frozen=True):
    """An approval, and its execution without steps and approvals.

    The execution is as it was at the last event of this approval. Only what never changes after the
    start is sure to be current. The digests are computed from the document of the row. ``altered``
    is true if they are not the recorded ones: then somebody has changed the row.
    """

    execution: Execution
    approval: Approval
    altered: bool


class _Cursor(Cursor[ApprovalOrder], frozen=True):
    deadline: Instant | None
    requested_at: Instant
    execution_id: UUID
    ordinal: Annotated[int, msgspec.Meta(ge=1, le=MAX_ORDINAL)]


class ApprovalQuery:
    """Pages of approvals, and the same conditions for a single approval."""

    def __init__(self, pool: Pool, checkpoints: Checkpoints | None = None) -> None:
        self._query = PageQuery("approvals", APPROVALS.version, pool, checkpoints)
        self._digests = DocumentDigests()

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
        conditions = conditions_of(principal, filter)
        seek(conditions, order, after)
        keys = ["requested_at", "execution_id", "ordinal"]
        position, bodies, shortened = await self._query.rows(
            conditions,
            ["due", *keys] if order is ApprovalOrder.DEADLINE_ASC else keys,
            descending=order is ApprovalOrder.REQUESTED_DESC,
            limit=first + 1,
            at_least=at_least,
        )
        rows = readable("approvals", bodies, self._row)
        cursors = [cursor_of(order, row.approval) for row in rows]
        return page_of(
            rows,
            cursors,
            first=first,
            after=after,
            position=position,
            shortened=shortened or len(bodies) > first,
        )

    async def count(self, principal: Principal, filter: ApprovalFilter) -> int | None:  # noqa: A002
        """Count the approvals that the principal sees; None if there are more than 10,000."""
        return await self._query.count(conditions_of(principal, filter))

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

    def _row(self, body: bytes) -> ApprovalRow:
        execution = decode_state(body)
        [recorded] = execution.approvals.values()
        digests = self._digests.of(execution, recorded)
        approval = replace(recorded, digest=digests.document, payload_digest=digests.payload)
        altered = approval != recorded
        if altered:
            _log.error("approval_row_altered", id=str(recorded.id), do="placet-server verify")
        return ApprovalRow(header(execution), approval, altered)


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
        and (wanted.decided_by is None or bool(approval.decisions_of(wanted.decided_by)))
        and (wanted.asked_by is None or _asked(wanted.asked_by, execution, approval))
        and (wanted.groups is None or _names_any(approval, wanted.groups))
        and (wanted.workflows is None or execution.workflow in wanted.workflows)
        and (wanted.execution_id is None or execution.id == wanted.execution_id)
        and (
            wanted.execution_id_range is None
            or wanted.execution_id_range[0] <= execution.id <= wanted.execution_id_range[1]
        )
        and (
            wanted.deadline_before is None
            or (
                approval.current_deadline is not None
                and approval.current_deadline < wanted.deadline_before
            )
        )
    )


def _asked(person: str, execution: Execution, approval: Approval) -> bool:
    asked = (execution.initiator.id, execution.on_behalf_of, approval.requested_by.id)
    return normal(person) in (normal(one) for one in asked if one is not None)


def _names_any(approval: Approval, groups: tuple[str, ...]) -> bool:
    return bool(approval.escalation_groups(groups)) or any(
        r.named_groups(groups) for r in approval.policy.requirements
    )


def _decidable(principal: Principal, execution: Execution, approval: Approval) -> bool:
    return (
        approval.pending
        and approval.decision_that_bars(principal.id) is None
        and next(objections(principal, execution, approval), None) is None
    )


def conditions_of(
    principal: Principal, wanted: ApprovalFilter, given: WhereClause | None = None
) -> WhereClause:
    """Add to given conditions those of a filter, and that the principal may see the approval."""
    conditions = given or WhereClause()
    _visible(conditions, principal)
    if wanted.execution_id is not None:
        conditions.one_of("execution_id", [wanted.execution_id])
    if wanted.workflows is not None:
        conditions.one_of("workflow", storable(wanted.workflows))
    if wanted.statuses is not None:
        conditions.one_of("status", wanted.statuses)
    if wanted.groups is not None:
        conditions.add("item.audience && %(groups)s::uuid[]", groups=group_terms(wanted.groups))
    if wanted.decided_by is not None:
        decided = decided_term(wanted.decided_by)
        conditions.add("item.audience @> ARRAY[%(decided)s::uuid]", decided=decided)
    if wanted.asked_by is not None:
        asked = asked_term(wanted.asked_by)
        conditions.add("item.audience @> ARRAY[%(asked)s::uuid]", asked=asked)
    if wanted.decidable_by_viewer is not None:
        _decidable_by(conditions, principal, wanted=wanted.decidable_by_viewer)
    if wanted.deadline_before is not None:
        conditions.add("item.due < %(deadline_before)s", deadline_before=wanted.deadline_before)
    if wanted.execution_id_range is not None:
        low, high = wanted.execution_id_range
        conditions.add("item.execution_id BETWEEN %(low)s AND %(high)s", low=low, high=high)
    _with_words(conditions, wanted.text)
    return conditions


def _with_words(conditions: WhereClause, text: str | None) -> None:
    if text and text.strip():
        conditions.add(
            "EXISTS (SELECT FROM approval_terms AS terms"
            " WHERE terms.execution_id = item.execution_id AND terms.ordinal = item.ordinal"
            " AND terms.search @@ websearch_to_tsquery('simple', %(text)s))",
            text=query_text(text),
        )


def _visible(conditions: WhereClause, principal: Principal) -> None:
    """Add the rule of :func:`domain.authorization.sees_approval`."""
    engine, approver = Role.ENGINE in principal.roles, Role.APPROVER in principal.roles
    if sees_all(principal) or (engine and principal.queues is None):
        return
    queues = storable(sorted(principal.queues or ()))
    absent = [term for absence in principal.stands_in_for for term in absence_terms(absence)]
    seen = [*eligible_terms(principal), *absent, decided_term(principal.id)]
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
    condition, params = (
        _DECIDABLE,
        {
            "eligible": eligible_terms(principal),
            "viewer": barred_term(principal.id),
        },
    )
    if principal.stands_in_for:
        condition = f"({_DECIDABLE} OR {_DECIDABLE_FOR_ABSENT})"
        pairs = [
            (term, barred_term(a.id)) for a in principal.stands_in_for for term in absence_terms(a)
        ]
        params["asked"] = [term for term, _ in pairs]
        params["absent"] = [absent for _, absent in pairs]
    conditions.add(condition if wanted else f"NOT ({condition})", **params)


def seek(conditions: WhereClause, order: ApprovalOrder, after: str | None) -> None:
    """Begin after a cursor. Raises BadCursorError for one of another order."""
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


def cursor_of(order: ApprovalOrder, approval: Approval) -> str:
    """Return the cursor of an approval in pages of this order."""
    return encode_cursor(
        _Cursor(order, approval.current_deadline, approval.requested_at, *approval.id)
    )
