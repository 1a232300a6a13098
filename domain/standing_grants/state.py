"""The state of a standing grant, computed from its events alone."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rpds import HashTrieMap

from domain.identifiers import ApprovalId
from domain.values import Actor, Principal, Role, Snapshotted


class StandingGrantStatus(StrEnum):
    """Whether a standing grant allows anything now, and if not, why."""

    ACTIVE = "ACTIVE"
    USED_UP = "USED_UP"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


UseKey = tuple[ApprovalId, int]
"""What identifies a use: the approval, and the version at which its execution asked."""


class Use(Snapshotted, frozen=True, kw_only=True):
    """One use, taken at ``version``. ``returned_version`` is 0 unless it was given back."""

    approval_id: ApprovalId
    asked_version: int
    digest: str
    at: datetime
    version: int
    returned_version: int = 0

    @property
    def counts(self) -> bool:
        """Whether it was not given back."""
        return not self.returned_version


if TYPE_CHECKING:
    UseMap = HashTrieMap[UseKey, Use]
else:
    UseMap = HashTrieMap

NO_USES: HashTrieMap[Any, Any] = HashTrieMap()


class StandingGrant(Snapshotted, frozen=True, kw_only=True):
    """A standing grant after ``version`` events.

    ``uses`` has every use, also those that were given back, so that none is taken twice.
    ``used`` counts those that were not. ``groups`` and ``roles`` are those of ``by`` at the
    creation. ``payload_schema`` is a JSON Schema. ``revoked_version`` is 0 unless it was revoked.
    """

    id: UUID
    version: int
    by: Actor
    groups: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    workflow: str
    key: str | None = None
    payload_schema: Any
    max_uses: int
    expires_at: datetime
    comment: str
    idempotency_key: str | None = None
    created_at: datetime
    updated_at: datetime
    used: int = 0
    uses: UseMap = NO_USES
    revoked_at: datetime | None = None
    revoked_by: Actor | None = None
    revocation_reason: str | None = None
    revoked_version: int = 0

    @property
    def person(self) -> Principal:
        """Who decides by it, as they were when they created it."""
        return Principal(
            id=self.by.id,
            name=self.by.name or self.by.id,
            roles=frozenset(self.roles),
            groups=frozenset(self.groups),
        )

    @property
    def open(self) -> bool:
        """Whether it allows something until it expires: not revoked, and with uses left."""
        return not self.revoked_version and self.used < self.max_uses

    def status(self, now: datetime) -> StandingGrantStatus:
        """Return the status at a moment."""
        if self.revoked_version:
            return StandingGrantStatus.REVOKED
        if self.used >= self.max_uses:
            return StandingGrantStatus.USED_UP
        if now >= self.expires_at:
            return StandingGrantStatus.EXPIRED
        return StandingGrantStatus.ACTIVE

    def uses_that_count(self) -> list[Use]:
        """Return the uses that were not given back, in order."""
        found = [use for use in self.uses.values() if use.counts]
        return sorted(found, key=lambda use: use.version)
