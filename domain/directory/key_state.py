"""The state of an API key, computed from its events alone."""

from datetime import datetime
from uuid import UUID

from domain.values import Role, Snapshotted


class RecordedKey(Snapshotted, frozen=True, kw_only=True):
    """An API key after ``version`` events. ``id`` is that of the stream.

    Who made, rotated and revoked it is None if it was done from the command line. Hashes are hex
    SHA-256.
    """

    id: UUID
    version: int
    name: str
    owner: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...] = ()
    queues: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    token_hash: str
    generation: int = 1
    previous_hash: str | None = None
    previous_until: datetime | None = None
    created_at: datetime
    created_by: str | None = None
    rotated_at: datetime | None = None
    rotated_by: str | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    changed_version: int
    updated_at: datetime

    def valid(self, now: datetime) -> bool:
        """Whether its token is valid: it is not revoked, and has not expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
