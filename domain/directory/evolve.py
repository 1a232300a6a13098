"""Apply the events of a person to their state, one at a time."""

from msgspec.structs import replace

from domain.directory.events import (
    PersonDeactivated,
    PersonReactivated,
    PersonRecorded,
    SubstituteEnded,
    SubstituteSet,
)
from domain.directory.state import Person, Substitution
from domain.execution.events import Recorded
from domain.names import normal
from domain.refusals import IllegalTransitionError


def evolve(state: Person | None, recorded: Recorded) -> Person:
    """Return the state after the event. Raises IllegalTransitionError for one that can't follow."""
    event = recorded.event
    if state is None:
        if isinstance(event, PersonRecorded) and recorded.version == 1:
            return _first_recorded(recorded, event)
        msg = f"{type(event).__name__} can't happen before {recorded.execution_id} is recorded"
        raise IllegalTransitionError(msg)
    if (recorded.execution_id, recorded.version) != (state.id, state.version + 1):
        msg = (
            f"version {recorded.version} of {recorded.execution_id} "
            f"can't follow version {state.version} of {state.id}"
        )
        raise IllegalTransitionError(msg)
    match event:
        case PersonRecorded(person=person) if normal(person) == state.person:
            changed = _recorded_again(state, recorded, event)
        case PersonDeactivated() if state.active:
            by, version = recorded.actor.id, recorded.version
            changed = replace(state, active=False, deactivated_by=by, activity_version=version)
        case PersonReactivated() if not state.active:
            version = recorded.version
            changed = replace(state, active=True, deactivated_by=None, activity_version=version)
        case SubstituteSet(number=number) if number == len(state.substitutes) + 1:
            changed = replace(state, substitutes=(*state.substitutes, _set(recorded, event)))
        case SubstituteEnded():
            changed = _ended(state, recorded, event)
        case _:
            msg = f"{type(event).__name__} can't happen to the person {state.person!r} as they are"
            raise IllegalTransitionError(msg)
    return replace(changed, version=recorded.version, updated_at=recorded.at)


def _first_recorded(recorded: Recorded, event: PersonRecorded) -> Person:
    return Person(
        id=recorded.execution_id,
        version=recorded.version,
        person=normal(event.person),
        name=event.content.name,
        emails=event.content.emails,
        groups=event.groups,
        roles=event.roles,
        source=event.source,
        external_id=event.external_id,
        provisioned_id=event.provisioned_id,
        details=event.content.details,
        recorded_version=recorded.version,
        created_at=recorded.at,
        updated_at=recorded.at,
    )


def _recorded_again(state: Person, recorded: Recorded, event: PersonRecorded) -> Person:
    return replace(
        state,
        name=event.content.name,
        emails=event.content.emails,
        groups=event.groups,
        roles=event.roles,
        source=event.source,
        external_id=event.external_id,
        provisioned_id=event.provisioned_id,
        details=event.content.details,
        recorded_version=recorded.version,
    )


def _set(recorded: Recorded, event: SubstituteSet) -> Substitution:
    return Substitution(
        number=event.number,
        substitute=normal(event.substitute),
        groups=event.groups,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        comment=event.content.comment,
        set_by=recorded.actor,
        version=recorded.version,
    )


def _ended(state: Person, recorded: Recorded, event: SubstituteEnded) -> Person:
    found = state.substitution(event.number)
    if found is None or found.over(recorded.at):
        msg = f"the person {state.person!r} has no substitution {event.number} that can be ended"
        raise IllegalTransitionError(msg)
    ended = replace(found, ended_version=recorded.version)
    index = event.number - 1
    substitutes = (*state.substitutes[:index], ended, *state.substitutes[index + 1 :])
    return replace(state, substitutes=substitutes)
