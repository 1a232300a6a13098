"""Queries for decisions, by person, group, rule, workflow, verdict and time."""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from domain.approvals.state import Verdict
from domain.authorization import sees_all
from domain.values import Principal, Role
from projections.decisions.projection import DECISIONS
from projections.decisions.record import DecisionRecord, decode_record
from projections.querying.checkpoints import Checkpoints
from projections.querying.hashed_terms import group_terms, person_term, rule_term
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


class DecisionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that all decisions of a page meet. None is no condition; of a tuple any value.

    ``people`` have decided, in the place of ``on_behalf_of``. ``groups`` are those that the policy
    asked and the person held. ``rules`` are what made the person eligible. ``since`` and ``until``
    are inclusive.
    """

    people: tuple[str, ...] | None = None
    on_behalf_of: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    rules: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    execution_id: UUID | None = None
    verdicts: tuple[Verdict, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


_KEYS = ("decided_at", "execution_id", "version")


class _Order(StrEnum):
    DECIDED_DESC = "DECIDED_DESC"


class _Cursor(Cursor[_Order], frozen=True):
    decided_at: Instant
    execution_id: UUID
    version: Annotated[int, msgspec.Meta(ge=1, le=2**62)]


class DecisionQuery:
    """Pages of decisions, the latest first."""

    def __init__(self, pool: Pool, checkpoints: Checkpoints | None = None) -> None:
        self._query = PageQuery("decisions", DECISIONS.version, pool, checkpoints)

    async def page(
        self,
        principal: Principal,
        filter: DecisionFilter,  # noqa: A002 - the name that the contract gives it
        *,
        first: int,
        after: str | None = None,
        at_least: int | None = None,
    ) -> Page[DecisionRecord]:
        """Return up to ``first`` decisions that the principal sees, after the cursor.

        Raises BadCursorError for a cursor of another list, and BehindError if the read model does
        not reach the position ``at_least`` within five seconds.
        """
        conditions = _conditions(principal, filter)
        if after is not None:
            cursor = decode_cursor(after, _Cursor, _Order.DECIDED_DESC)
            conditions.add(
                "(item.decided_at, item.execution_id, item.version)"
                " < (%(after_instant)s, %(after_execution)s, %(after_version)s)",
                after_instant=cursor.decided_at,
                after_execution=cursor.execution_id,
                after_version=cursor.version,
            )
        position, bodies, shortened = await self._query.rows(
            conditions,
            _KEYS,
            descending=True,
            limit=first + 1,
            at_least=at_least,
        )
        rows = readable("decisions", bodies, decode_record)
        cursors = [
            encode_cursor(
                _Cursor(_Order.DECIDED_DESC, row.decided_at, row.execution_id, row.version)
            )
            for row in rows
        ]
        return page_of(
            rows,
            cursors,
            first=first,
            after=after,
            position=position,
            shortened=shortened or len(bodies) > first,
        )

    async def latest(
        self,
        principal: Principal,
        filter: DecisionFilter,  # noqa: A002 - the name that the contract gives it
        *,
        most: int,
        at_least: int | None = None,
    ) -> tuple[list[DecisionRecord], bool]:
        """Return the latest decisions that the principal sees, and whether these are all.

        There are at most ``most``, and fewer if they are large. Raises BehindError as ``page``.
        """
        _, bodies, shortened = await self._query.rows(
            _conditions(principal, filter),
            _KEYS,
            descending=True,
            limit=most + 1,
            at_least=at_least,
        )
        rows = readable("decisions", bodies[:most], decode_record)
        return rows, not shortened and len(bodies) <= most

    async def count(self, principal: Principal, filter: DecisionFilter) -> int | None:  # noqa: A002
        """Count the decisions that the principal sees; None if there are more than 10,000."""
        return await self._query.count(_conditions(principal, filter))


def sees_decisions(principal: Principal) -> bool:
    """Whether the principal reads decisions: all of them, or an approver their own."""
    return sees_all(principal) or Role.APPROVER in principal.roles


def _conditions(principal: Principal, wanted: DecisionFilter) -> WhereClause:
    conditions = WhereClause()
    if not sees_all(principal):
        if Role.APPROVER not in principal.roles:
            conditions.add("false")
        conditions.one_of("decider", [person_term(principal.id)])
    for column, values in (
        ("execution_id", None if wanted.execution_id is None else [wanted.execution_id]),
        ("decider", _each(person_term, wanted.people)),
        ("place", _each(person_term, wanted.on_behalf_of)),
        ("rule", _each(rule_term, wanted.rules)),
        ("workflow", None if wanted.workflows is None else storable(wanted.workflows)),
        ("verdict", wanted.verdicts),
    ):
        if values is not None:
            conditions.one_of(column, values)
    if wanted.groups is not None:
        conditions.add("item.groups && %(groups)s::uuid[]", groups=group_terms(wanted.groups))
    if wanted.since is not None:
        conditions.add("item.decided_at >= %(since)s", since=wanted.since)
    if wanted.until is not None:
        conditions.add("item.decided_at <= %(until)s", until=wanted.until)
    return conditions


def _each(term: Callable[[str], UUID], names: Iterable[str] | None) -> list[UUID] | None:
    return None if names is None else [term(name) for name in names]
