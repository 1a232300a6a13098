"""Immutable values that commands, events and states share. They compare by content."""

from enum import StrEnum
from uuid import UUID

import msgspec

from domain.names import normal, normal_set


class ExecutionState(StrEnum):
    """Where an execution stands. The last three are final; FAILED alone can be retried."""

    RUNNING = "RUNNING"
    WAITING_APPROVAL = "WAITING_APPROVAL"
    RESUMED = "RESUMED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether the execution is over. Only a FAILED one can go on, by a retry."""
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    {ExecutionState.COMPLETED, ExecutionState.FAILED, ExecutionState.CANCELLED}
)


class Role(StrEnum):
    """What a principal may do."""

    OPERATOR = "OPERATOR"
    ENGINE = "ENGINE"
    APPROVER = "APPROVER"
    AUDITOR = "AUDITOR"
    ADMIN = "ADMIN"


class Value(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, rename="camel"
):
    """Base of the values stored in events. Their JSON has names in camelCase."""


class Snapshotted(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Base of the values that are stored in states only. Their JSON keeps Python's names."""


class Actor(Value, frozen=True, kw_only=True):
    """Who did something: a person or the owner of a token. Compare by ``id``, never by ``name``."""

    id: str
    name: str | None = None


class Label(Value, frozen=True, kw_only=True, order=True):
    """A name and a value by which executions can be found."""

    name: str
    value: str


class Parent(Value, frozen=True, kw_only=True):
    """The parent of an execution. ``key`` and ``round`` identify the child within the parent."""

    execution_id: UUID
    key: str
    round: int


class Principal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The authenticated caller. ``queues`` is None for a caller that serves every queue.

    Its id and groups are in their normal form, see :mod:`domain.names`.
    """

    id: str
    name: str
    roles: frozenset[Role] = frozenset()
    groups: frozenset[str] = frozenset()
    queues: frozenset[str] | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "id", normal(self.id))
        msgspec.structs.force_setattr(self, "groups", normal_set(self.groups))

    @property
    def actor(self) -> Actor:
        """The principal as events record it."""
        return Actor(id=self.id, name=self.name)

    def serves(self, queue: str) -> bool:
        """Whether the principal may work on this queue."""
        return self.queues is None or queue in self.queues
