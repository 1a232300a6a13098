"""The state of a person, computed from their events alone."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.values import Actor, Role, Snapshotted


class PersonSource(StrEnum):
    """Where the service knows a person from. A later one is never overwritten by an earlier one."""

    API_KEY = "API_KEY"
    """They own an API key, whose groups and roles they have."""
    TOKEN = "TOKEN"  # noqa: S105 - where a person is known from
    """They signed in, with the groups and roles that their token named."""
    ADMIN = "ADMIN"
    """An administrator entered them."""
    SCIM = "SCIM"
    """The organization's identity provider keeps them up to date."""

    def yields_to(self, other: PersonSource) -> bool:
        """Whether what this source says is not recorded, because the other one is known."""
        order = list(PersonSource)
        return order.index(self) < order.index(other)


class Substitution(Snapshotted, frozen=True, kw_only=True):
    """Who decides in a person's absence, from ``starts_at`` until before ``ends_at``.

    ``groups`` are those of the absent person, sorted; None for all. ``version`` is that of the
    event that set it. ``ended_version`` is 0 unless it was ended early.
    """

    number: int
    substitute: str
    groups: tuple[str, ...] | None = None
    starts_at: datetime
    ends_at: datetime
    comment: str = ""
    set_by: Actor
    version: int
    ended_version: int = 0

    def over(self, now: datetime) -> bool:
        """Whether it can't apply any more."""
        return bool(self.ended_version) or now >= self.ends_at


class Person(Snapshotted, frozen=True, kw_only=True):
    """A person after ``version`` events. ``id`` is that of the stream, ``person`` their own.

    ``emails`` has the main address first. ``groups`` and ``roles`` are sorted. ``substitutes`` has
    all that were ever set, in order. ``recorded_version`` and ``activity_version`` are the
    versions of the last event that recorded them, and that deactivated or reactivated them; the
    latter is 0 at first. ``deactivated_by`` is the id of who deactivated them. The rest is as in
    PersonRecorded.
    """

    id: UUID
    version: int
    person: str
    name: str | None = None
    emails: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    source: PersonSource
    external_id: str | None = None
    provisioned_id: UUID | None = None
    details: Any = None
    active: bool = True
    deactivated_by: str | None = None
    substitutes: tuple[Substitution, ...] = ()
    recorded_version: int
    activity_version: int = 0
    created_at: datetime
    updated_at: datetime

    def substitution(self, number: int) -> Substitution | None:
        """Return the substitution of this number, None if there is none."""
        return self.substitutes[number - 1] if 1 <= number <= len(self.substitutes) else None
