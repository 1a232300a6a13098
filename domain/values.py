"""Immutable values that commands, events and states share. They compare by content."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.names import may_be_same_person, normal, normal_set


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


class ParentEnd(StrEnum):
    """What becomes of a child that has not ended when its parent ends.

    Without one of them, it is cancelled if the parent is cancelled, and goes on otherwise.
    """

    CANCEL = "CANCEL"
    """It is cancelled."""
    ABANDON = "ABANDON"
    """It goes on."""
    WAIT = "WAIT"
    """The parent's worker ends the parent after the child. If the parent is cancelled, so is it."""


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


class SubstitutionRef(Value, frozen=True, kw_only=True):
    """Which substitution let somebody decide in the place of an absent person.

    ``number`` counts the substitutions of the absent person, in their stream. It is in force from
    ``since`` on. With ``only_groups`` it covers no requirement that names the absent person.
    """

    number: int
    since: datetime | None = None
    only_groups: bool = False


class Absence(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A person in whose place a principal decides, as the substitute that they named.

    ``groups`` are those groups of the absent person that the substitution covers. With
    ``only_groups`` it covers no requirement that names the person. It is in force from ``since`` on
    and before ``until``; None is no limit. ``number`` is that of the substitution, in the stream of
    the absent person.

    The id and the groups are in their normal form, see :mod:`domain.names`.
    """

    id: str
    name: str | None = None
    groups: frozenset[str] = frozenset()
    only_groups: bool = False
    since: datetime | None = None
    until: datetime | None = None
    number: int = 0

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "id", normal(self.id))
        msgspec.structs.force_setattr(self, "groups", normal_set(self.groups))

    @property
    def actor(self) -> Actor:
        """The absent person as events record them."""
        return Actor(id=self.id, name=self.name)

    @property
    def substitution(self) -> SubstitutionRef:
        """The substitution as events name it."""
        return SubstitutionRef(number=self.number, since=self.since, only_groups=self.only_groups)

    def may_be(self, person: str) -> bool:
        """Whether this may be the absence of that person, by their id."""
        return may_be_same_person(self.id, person)

    def in_force(self, now: datetime) -> bool:
        """Whether the substitute decides at this moment."""
        begun = self.since is None or self.since <= now
        return begun and (self.until is None or now < self.until)


class Principal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The authenticated caller. ``queues`` is None for a caller that serves every queue.

    Its id and groups are in their normal form, see :mod:`domain.names`. ``email`` is a verified
    address, and never says who somebody is. ``acr`` has the strengths of the login, separated by
    blanks, and ``auth_time`` is when the person last logged in. Of an API key, all three are None.
    ``stands_in_for`` are the people whose substitute the caller is, in the order in which their
    places are taken; the caller is never among them.
    """

    id: str
    name: str
    roles: frozenset[Role] = frozenset()
    groups: frozenset[str] = frozenset()
    queues: frozenset[str] | None = None
    email: str | None = None
    acr: str | None = None
    auth_time: datetime | None = None
    stands_in_for: tuple[Absence, ...] = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "id", normal(self.id))
        msgspec.structs.force_setattr(self, "groups", normal_set(self.groups))
        if self.stands_in_for:
            others = (each for each in self.stands_in_for if not each.may_be(self.id))
            msgspec.structs.force_setattr(self, "stands_in_for", tuple(others))

    @property
    def actor(self) -> Actor:
        """The principal as events record it."""
        return Actor(id=self.id, name=self.name)

    def at(self, now: datetime) -> "Principal":
        """Return the principal with the substitutions that are in force at this moment."""
        if not self.stands_in_for:
            return self
        in_force = tuple(each for each in self.stands_in_for if each.in_force(now))
        if len(in_force) == len(self.stands_in_for):
            return self
        return msgspec.structs.replace(self, stands_in_for=in_force)

    def serves(self, queue: str) -> bool:
        """Whether the principal may work on this queue."""
        return self.queues is None or queue in self.queues
