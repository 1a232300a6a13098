"""Values that commands, events and state share. All are immutable and compare by content."""

from enum import StrEnum
from uuid import UUID

import msgspec


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
        """Whether nothing more happens, unless a FAILED execution is retried."""
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
    """Base of the values that are stored inside events and snapshots."""


class Snapshotted(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Base of what a snapshot holds."""


class Actor(Value, frozen=True, kw_only=True):
    """A person or owner as authenticated. People are compared by ``id``, never by ``name``."""

    id: str
    name: str | None = None


class Label(Value, frozen=True, kw_only=True, order=True):
    """A name and a value by which executions are found."""

    name: str
    value: str


class Parent(Value, frozen=True, kw_only=True):
    """Whose child an execution is: ``key`` and ``round`` name it among the parent's children."""

    execution_id: UUID
    key: str
    round: int


class Principal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who is calling, as authenticated. ``queues`` of None means every queue."""

    id: str
    name: str
    roles: frozenset[Role] = frozenset()
    groups: frozenset[str] = frozenset()
    queues: frozenset[str] | None = None

    @property
    def actor(self) -> Actor:
        """The principal as an event remembers it."""
        return Actor(id=self.id, name=self.name)

    def serves(self, queue: str) -> bool:
        """Whether the principal works on this queue."""
        return self.queues is None or queue in self.queues
