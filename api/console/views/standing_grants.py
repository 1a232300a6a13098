"""Standing grants as their pages show them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from api.console.catalogue import N_
from api.console.views.allowed_payloads import in_words
from api.console.views.approvals import name_of
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.standing_grants.decide import may_revoke
from domain.standing_grants.state import StandingGrant, StandingGrantStatus
from domain.values import Principal

Translate = Callable[..., str]

STATUSES = {
    StandingGrantStatus.ACTIVE: N_("Active"),
    StandingGrantStatus.USED_UP: N_("Used up"),
    StandingGrantStatus.EXPIRED: N_("Expired"),
    StandingGrantStatus.REVOKED: N_("Revoked"),
}
_TONES = {StandingGrantStatus.ACTIVE: "yes", StandingGrantStatus.REVOKED: "no"}


class ShownGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A standing grant. ``allowed`` says in words which payloads, or is empty if it can't."""

    id: str
    by: str
    workflow: str
    key: str | None
    schema: Any
    allowed: list[str]
    max_uses: int
    uses: int
    expires_at: datetime
    created_at: datetime
    comment: str
    active: bool
    word: str
    tone: str
    revoked_at: datetime | None
    revoked_by: str | None
    revocation_reason: str | None
    may_revoke: bool


class UsedFor(msgspec.Struct, frozen=True, kw_only=True):
    """An approval for which a standing grant was used."""

    id: str
    title: str
    at: datetime


def shown_grant(
    grant: StandingGrant, viewer: Principal, now: datetime, text: Translate
) -> ShownGrant:
    """Return what the pages show of a standing grant."""
    status = grant.status(now)
    return ShownGrant(
        id=str(grant.id),
        by=name_of(grant.by),
        workflow=grant.workflow,
        key=grant.key,
        schema=grant.payload_schema,
        allowed=in_words(grant.payload_schema, text),
        max_uses=grant.max_uses,
        uses=grant.used,
        expires_at=grant.expires_at,
        created_at=grant.created_at,
        comment=grant.comment,
        active=status is StandingGrantStatus.ACTIVE,
        word=STATUSES[status],
        tone=_TONES.get(status, ""),
        revoked_at=grant.revoked_at,
        revoked_by=None if grant.revoked_by is None else name_of(grant.revoked_by),
        revocation_reason=grant.revocation_reason,
        may_revoke=not grant.revoked_version and may_revoke(viewer, grant),
    )


def used_for(execution: Execution, approval: Approval, at: datetime) -> UsedFor:
    """Return a line of the list of uses."""
    return UsedFor(id=str(approval.id), title=approval.title or execution.workflow, at=at)
