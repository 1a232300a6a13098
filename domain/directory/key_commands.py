"""The commands about API keys. ADMIN sends them, or who runs ``placet-server``.

The token itself is in none of them: only its hash, as hex SHA-256.
"""

from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import force_setattr

from domain import validation
from domain.directory.commands import NO_STREAM, DirectoryCommand, reserved_problem
from domain.identifiers import api_key_stream_id
from domain.names import normal, normal_set
from domain.validation import Problem, first
from domain.values import Role

MAX_OVERLAP = timedelta(days=30)
"""How long the token before the last rotation may stay valid at most."""


class ApiKeyCommand(DirectoryCommand, frozen=True, kw_only=True):
    """Base of the commands about an API key. The id of the stream follows from its name."""

    execution_id: UUID = NO_STREAM
    name: str

    def __post_init__(self) -> None:
        force_setattr(self, "execution_id", api_key_stream_id(self.name))
        super().__post_init__()


class CreateApiKey(ApiKeyCommand, frozen=True, kw_only=True):
    """Make a key. ``queues`` of None means every queue."""

    owner: str
    roles: frozenset[Role]
    groups: frozenset[str] = frozenset()
    queues: frozenset[str] | None = None
    expires_at: datetime | None = None
    token_hash: str

    def __post_init__(self) -> None:
        force_setattr(self, "owner", normal(self.owner))
        force_setattr(self, "groups", normal_set(self.groups))
        super().__post_init__()

    def check(self) -> Problem:
        return first(
            validation.name(self.name, "name"),
            validation.name(self.owner, "owner"),
            *(validation.name(group, "group") for group in sorted(self.groups)),
            *(validation.name(queue, "queue") for queue in sorted(self.queues or ())),
            None if self.roles else "a key needs at least one role",
            reserved_problem(self.name, "name"),
            reserved_problem(self.owner, "owner"),
        )


class AdoptApiKey(ApiKeyCommand, frozen=True, kw_only=True):
    """Record a key that was made before keys had events. Only the server sends this."""

    owner: str
    roles: frozenset[Role]
    groups: frozenset[str] = frozenset()
    queues: frozenset[str] | None = None
    expires_at: datetime | None = None
    token_hash: str
    created_at: datetime
    created_by: str | None = None
    generation: int = 1
    rotated_at: datetime | None = None
    rotated_by: str | None = None
    previous_hash: str | None = None
    previous_until: datetime | None = None


class RotateApiKey(ApiKeyCommand, frozen=True, kw_only=True):
    """Give the key another token. ``generation`` is that of the token which is replaced.

    The token that is replaced stays valid for ``overlap``, and one before that ends at once.
    """

    generation: int
    overlap: timedelta
    token_hash: str

    def check(self) -> Problem:
        if timedelta(0) <= self.overlap <= MAX_OVERLAP:
            return None
        return f"the old secret can stay valid for 0 to {MAX_OVERLAP.days} days"


class RevokeApiKey(ApiKeyCommand, frozen=True, kw_only=True):
    """End the key at once, for ever."""
