"""The aggregates whose streams are in the log, and which rules each of them follows.

A stream is an execution, a standing grant, a person, an API key or a calendar. Its first event says
which. Commands and events know what they are for; one that meets another kind of stream finds
nothing, or can't follow.
"""

from datetime import datetime

from domain.directory import calendars, keys
from domain.directory import decide as directory
from domain.directory import evolve as directory_events
from domain.directory.calendars import RecordCalendar, RecordedCalendar
from domain.directory.commands import PersonCommand
from domain.directory.events import DIRECTORY_EVENTS, CalendarChanged, PersonEvent
from domain.directory.key_commands import ApiKeyCommand
from domain.directory.key_events import KEY_EVENTS, ApiKeyEvent
from domain.directory.key_state import RecordedKey
from domain.directory.state import Person
from domain.execution import decide as executions
from domain.execution import evolve as execution_events
from domain.execution import idempotency
from domain.execution.commands import Command
from domain.execution.event import Event
from domain.execution.events import EVENT_TYPES, Events, Recorded
from domain.execution.state import Execution
from domain.refusals import IllegalTransitionError
from domain.standing_grants import decide as standing_grants
from domain.standing_grants import evolve as standing_grant_events
from domain.standing_grants.commands import StandingGrantCommand
from domain.standing_grants.events import STANDING_GRANT_EVENTS, StandingGrantEvent
from domain.standing_grants.state import StandingGrant

Aggregate = Execution | StandingGrant | Person | RecordedKey | RecordedCalendar

ALL_EVENT_TYPES = (*EVENT_TYPES, *STANDING_GRANT_EVENTS, *DIRECTORY_EVENTS, *KEY_EVENTS)


def decide(state: Aggregate | None, command: Command, now: datetime) -> Events:
    """Return the events that the command causes; none for a repeat. Raises Refusal.

    ``state`` is that of the command's stream, None if it has no event yet.
    """
    match command:
        case StandingGrantCommand():
            grant = state if isinstance(state, StandingGrant) else None
            return standing_grants.decide(grant, command, now)
        case PersonCommand():
            return directory.decide(state if isinstance(state, Person) else None, command, now)
        case ApiKeyCommand():
            return keys.decide(state if isinstance(state, RecordedKey) else None, command, now)
        case RecordCalendar():
            return calendars.decide(state if isinstance(state, RecordedCalendar) else None, command)
        case _:
            execution = state if isinstance(state, Execution) else None
            return executions.decide(execution, command, now)


def kind_of(event: Event) -> type[Aggregate]:
    """Return the kind of stream that an event happens to."""
    match event:
        case StandingGrantEvent():
            return StandingGrant
        case PersonEvent():
            return Person
        case ApiKeyEvent():
            return RecordedKey
        case CalendarChanged():
            return RecordedCalendar
        case _:
            return Execution


def evolve(state: Aggregate | None, recorded: Recorded) -> Aggregate:
    """Return the state after the event.

    Raises IllegalTransitionError if it can't follow, also because it is one of another kind.
    """
    match recorded.event:
        case StandingGrantEvent():
            if state is None or isinstance(state, StandingGrant):
                return standing_grant_events.evolve(state, recorded)
        case PersonEvent():
            if state is None or isinstance(state, Person):
                return directory_events.evolve(state, recorded)
        case ApiKeyEvent():
            if state is None or isinstance(state, RecordedKey):
                return keys.evolve(state, recorded)
        case CalendarChanged():
            if state is None or isinstance(state, RecordedCalendar):
                return calendars.evolve(state, recorded)
        case _:
            if state is None or isinstance(state, Execution):
                return execution_events.evolve(state, recorded)
    msg = f"{type(recorded.event).__name__} can't happen to {state.id}, which is of another kind"
    raise IllegalTransitionError(msg)


def first_version(state: Aggregate, command: Command) -> int:
    """Return the version of the event by which a repeated command was carried out."""
    match command:
        case StandingGrantCommand():
            assert isinstance(state, StandingGrant)
            return standing_grants.first_version(state, command)
        case PersonCommand():
            assert isinstance(state, Person)
            return directory.first_version(state, command)
        case ApiKeyCommand():
            assert isinstance(state, RecordedKey)
            return keys.first_version(state, command)
        case RecordCalendar():
            return state.version
        case _:
            assert isinstance(state, Execution)
            return idempotency.first_version(state, command)
