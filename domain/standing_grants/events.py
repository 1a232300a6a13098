"""The events of standing grants. They are recorded in the stream of the grant."""

from datetime import datetime
from typing import Any, ClassVar

from domain.execution.event import Content, Event, ReasonContent
from domain.values import Role


class StandingGrantContent(Content, frozen=True, kw_only=True):
    """Which payloads are allowed, as a JSON Schema, and why."""

    payload_schema: Any = None
    comment: str = ""


_CONTENT = StandingGrantContent()
_REASON = ReasonContent()


class StandingGrantEvent(Event, frozen=True, kw_only=True):
    """Base of the events of standing grants."""


class StandingGrantCreated(StandingGrantEvent, frozen=True, kw_only=True):
    """The actor allows approvals of a workflow in advance.

    ``key`` is that of the approvals, None for any. ``groups`` and ``roles`` are those that the
    actor had; the decisions made in advance count with them.
    """

    topic: ClassVar[str] = "standing-grant.created.v1"
    workflow: str
    key: str | None = None
    max_uses: int
    expires_at: datetime
    groups: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    idempotency_key: str | None = None
    content: StandingGrantContent = _CONTENT


class StandingGrantUsed(StandingGrantEvent, frozen=True, kw_only=True):
    """One use is taken for an approval, whose document has this digest.

    ``asked_version`` is the version at which the execution asked: of the request, of the decision
    that began the stage, or of the amendment.
    """

    topic: ClassVar[str] = "standing-grant.used.v1"
    approval_id: str
    digest: str
    asked_version: int


class StandingGrantUseReturned(StandingGrantEvent, frozen=True, kw_only=True):
    """The use was given back, because the approval refused the decision."""

    topic: ClassVar[str] = "standing-grant.use-returned.v1"
    approval_id: str
    asked_version: int
    content: ReasonContent = _REASON


class StandingGrantRevoked(StandingGrantEvent, frozen=True, kw_only=True):
    """Nothing is allowed by it any more."""

    topic: ClassVar[str] = "standing-grant.revoked.v1"
    content: ReasonContent = _REASON


STANDING_GRANT_EVENTS: tuple[type[StandingGrantEvent], ...] = (
    StandingGrantCreated,
    StandingGrantUsed,
    StandingGrantUseReturned,
    StandingGrantRevoked,
)
