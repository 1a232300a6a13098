"""Queries for standing grants, by status, owner and workflow."""

from datetime import datetime
from typing import Literal, LiteralString
from uuid import UUID

import msgspec

from domain.authorization import sees_standing_grants
from domain.serialization.state_codec import decode_standing_grant
from domain.standing_grants.state import StandingGrant, StandingGrantStatus
from domain.values import Principal
from projections.querying.checkpoints import Checkpoints
from projections.querying.hashed_terms import person_term
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
from projections.standing_grants.projection import STANDING_GRANTS

ORDER: Literal["CREATED_DESC"] = "CREATED_DESC"

# As StandingGrant.status says.
_STATUSES: dict[StandingGrantStatus, LiteralString] = {
    StandingGrantStatus.REVOKED: "item.revoked",
    StandingGrantStatus.USED_UP: "(NOT item.revoked AND item.used_up)",
    StandingGrantStatus.EXPIRED: (
        "(NOT item.revoked AND NOT item.used_up AND item.expires_at <= %(now)s)"
    ),
    StandingGrantStatus.ACTIVE: (
        "(NOT item.revoked AND NOT item.used_up AND item.expires_at > %(now)s)"
    ),
}


class StandingGrantFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that all standing grants of a page meet. None is no condition.

    One of the statuses, as they are at the moment ``now``; ``by`` is the id of the owner.
    """

    now: datetime
    statuses: tuple[StandingGrantStatus, ...] | None = None
    by: str | None = None
    workflow: str | None = None


class _Cursor(Cursor[Literal["CREATED_DESC"]], frozen=True):
    created_at: Instant
    id: UUID


class StandingGrantQuery:
    """Pages of standing grants, the latest first. They are without their uses."""

    def __init__(self, pool: Pool, checkpoints: Checkpoints | None = None) -> None:
        self._query = PageQuery("standing_grants", STANDING_GRANTS.version, pool, checkpoints)

    async def page(
        self,
        principal: Principal,
        filter: StandingGrantFilter,  # noqa: A002 - as of the other queries
        *,
        first: int,
        after: str | None = None,
        at_least: int | None = None,
    ) -> Page[StandingGrant]:
        """Return up to ``first`` grants that the principal sees, after the cursor.

        Raises BadCursorError, and BehindError if the read model does not reach the position
        ``at_least`` within five seconds.
        """
        conditions = _conditions(principal, filter)
        if after is not None:
            cursor = decode_cursor(after, _Cursor, ORDER)
            conditions.add(
                "(item.created_at, item.id) < (%(after_instant)s, %(after_id)s)",
                after_instant=cursor.created_at,
                after_id=cursor.id,
            )
        position, bodies, shortened = await self._query.rows(
            conditions, ["created_at", "id"], descending=True, limit=first + 1, at_least=at_least
        )
        rows = [decode_standing_grant(body) for body in bodies]
        cursors = [encode_cursor(_Cursor(ORDER, row.created_at, row.id)) for row in rows]
        return page_of(
            rows, cursors, first=first, after=after, position=position, shortened=shortened
        )

    async def count(self, principal: Principal, filter: StandingGrantFilter) -> int | None:  # noqa: A002
        """Count the grants that the principal sees; None if there are more than 10,000."""
        return await self._query.count(_conditions(principal, filter))


def _conditions(principal: Principal, wanted: StandingGrantFilter) -> WhereClause:
    conditions = WhereClause()
    if not sees_standing_grants(principal):
        conditions.add("item.owner = %(viewer)s", viewer=person_term(principal.id))
    if wanted.by is not None:
        conditions.add("item.owner = %(by)s", by=person_term(wanted.by))
    if wanted.workflow is not None:
        conditions.one_of("workflow", storable([wanted.workflow]))
    if wanted.statuses is not None:
        among: LiteralString = " OR ".join(_STATUSES[each] for each in set(wanted.statuses))
        conditions.add(f"({among or 'false'})", now=wanted.now)
    return conditions
