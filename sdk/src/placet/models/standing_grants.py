"""Standing grants, as the service answers and takes them."""

from datetime import datetime
from typing import Any

from placet.models.commands import Input
from placet.models.enums import StandingGrantStatus
from placet.models.responses import Actor, Approval, Page, ResponseModel


class StandingGrant(ResponseModel, kw_only=True, frozen=True):
    """What one person allows in advance.

    Each use is a decision of ``by``. It is used for approvals of ``workflow``, with this ``key``
    (None: any), whose payload meets ``payload_schema``.
    """

    id: str
    by: Actor
    workflow: str
    key: str | None = None
    payload_schema: Any
    max_uses: int
    uses: int
    expires_at: datetime
    comment: str | None = None
    status: StandingGrantStatus
    created_at: datetime
    revoked_at: datetime | None = None


class StandingGrantResult(ResponseModel, kw_only=True, frozen=True):
    """The answer to a command. With a ``code`` it was refused."""

    grant: StandingGrant | None = None
    code: str | None = None
    message: str | None = None
    repeated: bool
    position: str | None = None


class UsedFor(ResponseModel, kw_only=True, frozen=True):
    """A standing grant, of which only one page of the uses is read."""

    used_for: Page[Approval]


class StandingGrantInput(Input, kw_only=True, frozen=True):
    """Allow approvals in advance. It is idempotent by its key."""

    workflow: str
    key: str | None = None
    payload_schema: Any
    max_uses: int
    expires_at: datetime
    comment: str
    idempotency_key: str | None = None
