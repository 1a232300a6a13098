"""The rows of the directory: people, who decides in their absence, and API keys.

They are in the side tables, because those who ask for them ask for what was committed.
"""

import string
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.directory.calendars import RecordedCalendar
from domain.directory.key_state import RecordedKey
from domain.directory.state import Person, Substitution

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class PersonRow(msgspec.Struct, frozen=True):
    """A person as last recorded. ``folded_emails`` are compared, ``emails`` are shown."""

    stream_id: UUID
    id: str
    name: str | None
    emails: tuple[str, ...]
    folded_emails: tuple[str, ...]
    groups: tuple[str, ...]
    roles: tuple[str, ...]
    active: bool
    source: str
    external_id: str | None
    provisioned_id: UUID | None
    details: Any


class SubstituteRow(msgspec.Struct, frozen=True):
    """A substitution that was not ended early. ``groups`` of None means all of the person."""

    stream_id: UUID
    number: int
    person: str
    substitute: str
    groups: tuple[str, ...] | None
    starts_at: datetime
    ends_at: datetime
    set_by: str


class SubstituteKey(msgspec.Struct, frozen=True):
    """Which row is deleted."""

    stream_id: UUID
    number: int


class ApiKeyRow(msgspec.Struct, frozen=True):
    """An API key as its events give it. Hashes are in hex."""

    name: str
    owner: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    queues: tuple[str, ...] | None
    token_hash: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    created_by: str | None
    revoked_by: str | None
    generation: int
    rotated_at: datetime | None
    rotated_by: str | None
    previous_hash: str | None
    previous_until: datetime | None


def api_key_row(key: RecordedKey) -> ApiKeyRow:
    """Return the row of an API key."""
    return ApiKeyRow(
        name=key.name,
        owner=key.owner,
        roles=tuple(map(str, key.roles)),
        groups=key.groups,
        queues=key.queues,
        token_hash=key.token_hash,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        created_by=key.created_by,
        revoked_by=key.revoked_by,
        generation=key.generation,
        rotated_at=key.rotated_at,
        rotated_by=key.rotated_by,
        previous_hash=key.previous_hash,
        previous_until=key.previous_until,
    )


class CalendarRow(msgspec.Struct, frozen=True):
    """What a calendar is, or None if it is not in force."""

    stream_id: UUID
    name: str
    definition: Any


def calendar_row(calendar: RecordedCalendar) -> CalendarRow:
    """Return the row of a calendar."""
    return CalendarRow(calendar.id, calendar.name, calendar.definition)


def folded_email(address: str) -> str:
    """Return the form in which addresses are compared: without the case of ASCII letters.

    Other letters count as they are. Unicode's rules make one address of several mailboxes, such as
    those of ``straße.example`` and ``strasse.example``, and who has one must not be the other.
    """
    return address.strip().translate(_LOWER)


def person_row(person: Person) -> PersonRow:
    """Return the row of a person."""
    return PersonRow(
        person.id,
        person.person,
        person.name,
        person.emails,
        tuple(sorted(set(map(folded_email, person.emails)))),
        person.groups,
        tuple(map(str, person.roles)),
        person.active,
        person.source.value,
        person.external_id,
        person.provisioned_id,
        person.details,
    )


def substitute_rows(person: Person) -> list[SubstituteRow]:
    """Return the rows of the substitutions of a person that were not ended early."""
    return [_substitute_row(person, s) for s in person.substitutes if not s.ended_version]


def _substitute_row(person: Person, substitution: Substitution) -> SubstituteRow:
    return SubstituteRow(
        person.id,
        substitution.number,
        person.person,
        substitution.substitute,
        substitution.groups,
        substitution.starts_at,
        substitution.ends_at,
        substitution.set_by.id,
    )
