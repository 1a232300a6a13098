"""The events of API keys. They are recorded in the stream of the key."""

from datetime import datetime
from typing import ClassVar

from domain.directory.events import DirectoryEvent
from domain.values import Role


class ApiKeyEvent(DirectoryEvent, frozen=True, kw_only=True):
    """Base of the events of API keys. ``token_hash`` is the hex SHA-256 of a token."""


class ApiKeyCreated(ApiKeyEvent, frozen=True, kw_only=True):
    """The actor made an API key for ``owner``, who has these roles and groups with it.

    ``queues`` of None means every queue.
    """

    topic: ClassVar[str] = "directory.api-key-created.v1"
    name: str
    owner: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...] = ()
    queues: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    token_hash: str


class ApiKeyAdopted(ApiKeyEvent, frozen=True, kw_only=True):
    """A key that was made before keys had events is as follows. It is recorded before a change.

    ``previous_hash`` is that of the token before, which is valid until ``previous_until``.
    """

    topic: ClassVar[str] = "directory.api-key-adopted.v1"
    name: str
    owner: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...] = ()
    queues: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    token_hash: str
    created_at: datetime
    created_by: str | None = None
    generation: int = 1
    rotated_at: datetime | None = None
    rotated_by: str | None = None
    previous_hash: str | None = None
    previous_until: datetime | None = None


class ApiKeyRotated(ApiKeyEvent, frozen=True, kw_only=True):
    """The key has another token. The one before is valid until ``previous_until``; None: it ended.

    ``generation`` counts the tokens of the key from 1.
    """

    topic: ClassVar[str] = "directory.api-key-rotated.v1"
    generation: int
    token_hash: str
    previous_until: datetime | None = None


class ApiKeyRevoked(ApiKeyEvent, frozen=True, kw_only=True):
    """The key is not valid any more."""

    topic: ClassVar[str] = "directory.api-key-revoked.v1"


KEY_EVENTS: tuple[type[ApiKeyEvent], ...] = (
    ApiKeyCreated,
    ApiKeyAdopted,
    ApiKeyRotated,
    ApiKeyRevoked,
)
