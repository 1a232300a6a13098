"""The events of people. They are recorded in the stream of the person."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from domain.directory.state import PersonSource
from domain.execution.event import Content, Event, ReasonContent
from domain.values import Role


class PersonContent(Content, frozen=True, kw_only=True):
    """What identifies a human being to other people.

    ``details`` is what the source says besides, as a JSON object; None if it says no more.
    """

    name: str | None = None
    emails: tuple[str, ...] = ()
    details: Any = None


class SubstituteContent(Content, frozen=True, kw_only=True):
    """Why somebody else decides."""

    comment: str = ""


_PERSON = PersonContent()
_REASON = ReasonContent()
_SUBSTITUTE = SubstituteContent()


class DirectoryEvent(Event, frozen=True, kw_only=True):
    """Base of all events of the directory."""


class PersonEvent(DirectoryEvent, frozen=True, kw_only=True):
    """Base of the events of people."""


class PersonRecorded(PersonEvent, frozen=True, kw_only=True):
    """The person is known with these groups and roles from now on. It replaces what was known.

    ``external_id`` is the id that the source has for the person, ``provisioned_id`` the one under
    which it finds the person here; None if it does not keep them up to date.
    """

    topic: ClassVar[str] = "directory.person-recorded.v1"
    person: str
    groups: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    source: PersonSource
    external_id: str | None = None
    provisioned_id: UUID | None = None
    content: PersonContent = _PERSON


class PersonDeactivated(PersonEvent, frozen=True, kw_only=True):
    """The person's API keys, tokens and sessions are not valid any more."""

    topic: ClassVar[str] = "directory.person-deactivated.v1"
    content: ReasonContent = _REASON


class PersonReactivated(PersonEvent, frozen=True, kw_only=True):
    """The person's API keys and tokens are valid again."""

    topic: ClassVar[str] = "directory.person-reactivated.v1"
    content: ReasonContent = _REASON


class SubstituteSet(PersonEvent, frozen=True, kw_only=True):
    """Somebody else decides in the person's absence, from ``starts_at`` until ``ends_at``.

    ``number`` counts the person's substitutes from 1. ``groups`` are those of the person for which
    the substitute decides, None for all. The actor is the person, or an ADMIN.
    """

    topic: ClassVar[str] = "directory.substitute-set.v1"
    number: int
    substitute: str
    groups: tuple[str, ...] | None = None
    starts_at: datetime
    ends_at: datetime
    content: SubstituteContent = _SUBSTITUTE


class SubstituteEnded(PersonEvent, frozen=True, kw_only=True):
    """The substitute with this number decides no longer, before their time was over."""

    topic: ClassVar[str] = "directory.substitute-ended.v1"
    number: int
    content: ReasonContent = _REASON


class CalendarChanged(DirectoryEvent, frozen=True, kw_only=True):
    """A calendar is so from now on; None: it is not in force any more.

    ``definition`` is its table in the file of calendars, as JSON.
    """

    topic: ClassVar[str] = "directory.calendar-changed.v1"
    name: str
    definition: Any = None


DIRECTORY_EVENTS: tuple[type[DirectoryEvent], ...] = (
    PersonRecorded,
    PersonDeactivated,
    PersonReactivated,
    SubstituteSet,
    SubstituteEnded,
    CalendarChanged,
)
