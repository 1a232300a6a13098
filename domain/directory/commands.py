"""The commands about people: those of administrators, of people about themselves, of the server."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import force_setattr

from domain import validation
from domain.directory.state import PersonSource
from domain.execution.commands import Command
from domain.identifiers import person_stream_id
from domain.names import is_reserved, may_be_same_person, normal, normal_set
from domain.validation import Problem, first, optional
from domain.values import Role

MAX_EMAILS = 20
MAX_EMAIL = 320
MAX_GROUPS = 2_000
MAX_SUBSTITUTES = 20
"""How many substitutes a person may have at one time."""
MAX_ABSENCE = timedelta(days=366)

NO_STREAM = UUID(int=0)
"""Until the id of the stream is computed."""


class DirectoryCommand(Command, frozen=True, kw_only=True):
    """Base of all commands of the directory."""


class PersonCommand(DirectoryCommand, frozen=True, kw_only=True):
    """Base of the commands about a person. The id of the stream follows from theirs."""

    execution_id: UUID = NO_STREAM
    person: str

    def __post_init__(self) -> None:
        force_setattr(self, "person", normal(self.person))
        force_setattr(self, "execution_id", person_stream_id(self.person))
        super().__post_init__()

    def check(self) -> Problem:
        return validation.name(self.person, "id")


class RecordPerson(PersonCommand, frozen=True, kw_only=True):
    """Say how a person is known from now on. It replaces their name, addresses, groups and roles.

    The server sends what it learns from API keys and tokens, administrators and SCIM the rest.
    ``groups`` of None: they stay.
    """

    name: str | None = None
    emails: tuple[str, ...] = ()
    groups: frozenset[str] | None = frozenset()
    roles: frozenset[Role] = frozenset()
    source: PersonSource
    external_id: str | None = None
    provisioned_id: UUID | None = None
    details: Any = None

    def __post_init__(self) -> None:
        if self.groups is not None:
            force_setattr(self, "groups", normal_set(self.groups))
        force_setattr(self, "emails", tuple(dict.fromkeys(map(normal, self.emails))))
        super().__post_init__()

    def check(self) -> Problem:
        return first(
            super().check(),
            reserved_problem(self.person, "id"),
            optional(validation.name, self.name, "name"),
            _too_many(self.emails, "emails", MAX_EMAILS),
            *(email_problem(email) for email in self.emails),
            _too_many(self.groups or (), "groups", MAX_GROUPS),
            *(validation.name(group, "group") for group in sorted(self.groups or ())),
            optional(validation.name, self.external_id, "externalId"),
            optional(validation.json, self.details, "details"),
        )


class ChangeGroups(PersonCommand, frozen=True, kw_only=True):
    """Put a person whom SCIM keeps up to date into groups, and take them out of others."""

    joined: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        force_setattr(self, "joined", normal_set(self.joined))
        force_setattr(self, "left", normal_set(self.left))
        super().__post_init__()

    def check(self) -> Problem:
        return first(
            super().check(), *(validation.name(group, "group") for group in sorted(self.joined))
        )


class DeactivatePerson(PersonCommand, frozen=True, kw_only=True):
    """End all API keys, tokens and sessions of a person."""

    reason: str = ""

    def check(self) -> Problem:
        return first(super().check(), validation.text(self.reason, "reason"))


class ReactivatePerson(PersonCommand, frozen=True, kw_only=True):
    """Undo DeactivatePerson."""

    reason: str = ""

    def check(self) -> Problem:
        return first(super().check(), validation.text(self.reason, "reason"))


class SetSubstitute(PersonCommand, frozen=True, kw_only=True):
    """Have somebody else decide in the person's absence.

    ``groups`` are those of the person for which they decide, None for all. ``starts_at`` of None
    is now.
    """

    substitute: str
    groups: frozenset[str] | None = None
    starts_at: datetime | None = None
    ends_at: datetime
    comment: str = ""

    def __post_init__(self) -> None:
        force_setattr(self, "substitute", normal(self.substitute))
        if self.groups is not None:
            force_setattr(self, "groups", normal_set(self.groups))
        super().__post_init__()

    def check(self) -> Problem:
        groups = sorted(self.groups or ())
        return first(
            super().check(),
            validation.name(self.substitute, "substitute"),
            reserved_problem(self.substitute, "substitute"),
            "substitute must be somebody else"
            if may_be_same_person(self.person, self.substitute)
            else None,
            "groups must not be empty; leave it out for all groups"
            if self.groups == frozenset()
            else None,
            _too_many(groups, "groups", MAX_GROUPS),
            *(validation.name(group, "group") for group in groups),
            validation.text(self.comment, "comment"),
        )


class EndSubstitute(PersonCommand, frozen=True, kw_only=True):
    """End the substitution of this number before its time is over."""

    number: int
    reason: str = ""

    def check(self) -> Problem:
        return first(super().check(), validation.text(self.reason, "reason"))


def email_problem(email: str) -> Problem:
    """Check an e-mail address: what is needed to send to it, not all of RFC 5321."""
    shown = email if len(email) <= MAX_EMAIL else f"{email[:60]}..."
    if len(email) > MAX_EMAIL:
        return f"the e-mail address {shown!r} has more than {MAX_EMAIL} characters"
    local, at, domain = email.rpartition("@")
    if not (at and local and domain) or not email.isprintable() or " " in email:
        return f"{shown!r} is not an e-mail address"
    return None


def reserved_problem(person: str, field: str) -> Problem:
    """Check that a name does not mean the service itself."""
    if is_reserved(person):
        return f"{field} {person!r} is reserved: it means the service itself"
    return None


def _too_many(values: Iterable[str], field: str, limit: int) -> Problem:
    count = len(list(values))
    return f"{field} has {count} entries, the limit is {limit}" if count > limit else None
