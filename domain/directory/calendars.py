"""The calendars in force: each has a stream, whose events say what it is from then on.

The server records the calendars of its file when it starts. A deadline is computed once, so no
calendar of later changes it.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from msgspec.structs import force_setattr, replace

from domain import authorization, validation
from domain.directory.commands import NO_STREAM, DirectoryCommand
from domain.directory.events import CalendarChanged
from domain.execution.events import Events, Recorded
from domain.identifiers import calendar_stream_id
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.serialization.canonical_json import same
from domain.validation import Problem, first
from domain.values import Snapshotted


class RecordedCalendar(Snapshotted, frozen=True, kw_only=True):
    """A calendar after ``version`` events. ``definition`` is None while it is not in force."""

    id: UUID
    version: int
    name: str
    definition: Any
    updated_at: datetime


class RecordCalendar(DirectoryCommand, frozen=True, kw_only=True):
    """Say what a calendar is from now on; without a definition it is not in force any more."""

    needs_exact_time: ClassVar[bool] = False
    execution_id: UUID = NO_STREAM
    name: str
    definition: Any = None

    def __post_init__(self) -> None:
        force_setattr(self, "execution_id", calendar_stream_id(self.name))
        super().__post_init__()

    def check(self) -> Problem:
        """Return the first rule that the input breaks, or None."""
        return first(
            validation.name(self.name, "name"), validation.json(self.definition, "definition")
        )


def decide(state: RecordedCalendar | None, command: RecordCalendar) -> Events:
    """Return the event that the command causes; none if nothing changes. Raises Refusal."""
    if command.by is not authorization.SERVICE:
        raise Refusal(RefusalCode.FORBIDDEN, "only the server itself may send this command")
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    if state is not None and same(state.definition, command.definition):
        return ()
    return (CalendarChanged(name=command.name, definition=command.definition),)


def evolve(state: RecordedCalendar | None, recorded: Recorded) -> RecordedCalendar:
    """Return the state after the event. Raises IllegalTransitionError for one that can't follow."""
    event = recorded.event
    version, id_ = (0, recorded.execution_id) if state is None else (state.version, state.id)
    name = event.name if isinstance(event, CalendarChanged) else None
    if (
        not isinstance(event, CalendarChanged)
        or (recorded.execution_id, recorded.version) != (id_, version + 1)
        or (state is not None and state.name != name)
    ):
        msg = f"{type(event).__name__} can't follow version {version} of the calendar {id_}"
        raise IllegalTransitionError(msg)
    calendar = RecordedCalendar(
        id=id_, version=version + 1, name=event.name, definition=None, updated_at=recorded.at
    )
    return replace(calendar, definition=event.definition)
