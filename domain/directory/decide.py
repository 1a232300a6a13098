"""Decide the commands about people.

If several refusals apply, the first in this order is reported: FORBIDDEN, INVALID_INPUT,
NOT_FOUND, a repeat, INVALID_TRANSITION.
"""

from datetime import datetime

from msgspec.structs import replace

from domain import authorization
from domain.approvals.document import instant_json
from domain.directory.commands import (
    MAX_ABSENCE,
    MAX_GROUPS,
    MAX_SUBSTITUTES,
    ChangeGroups,
    DeactivatePerson,
    EndSubstitute,
    PersonCommand,
    ReactivatePerson,
    RecordPerson,
    SetSubstitute,
)
from domain.directory.events import (
    PersonContent,
    PersonDeactivated,
    PersonReactivated,
    PersonRecorded,
    SubstituteContent,
    SubstituteEnded,
    SubstituteSet,
)
from domain.directory.state import Person, PersonSource, Substitution
from domain.execution.event import ReasonContent
from domain.execution.events import Events
from domain.names import same_name
from domain.refusals import Refusal, RefusalCode
from domain.values import Principal, Role

_SEEN_BY_SERVICE = frozenset({PersonSource.API_KEY, PersonSource.TOKEN})


def decide(state: Person | None, command: PersonCommand, now: datetime) -> Events:
    """Return the events that the command causes; none for a repeat. Raises Refusal.

    ``state`` is None if the person is not known yet. ``now`` is the time that the events will have.
    """
    if reason := _forbidden(command):
        raise Refusal(RefusalCode.FORBIDDEN, reason)
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    match command:
        case RecordPerson():
            return _record(state, command)
        case SetSubstitute() if state is None and same_name(command.by.id, command.person):
            return _know_and_set_substitute(command, now)
    if state is None:
        raise Refusal(RefusalCode.NOT_FOUND, f"the directory has no person {command.person!r}")
    match command:
        case DeactivatePerson():
            reason_given = ReasonContent(reason=command.reason)
            return (PersonDeactivated(content=reason_given),) if state.active else ()
        case ReactivatePerson():
            return _reactivate(state, command)
        case ChangeGroups():
            return _change_groups(state, command)
        case SetSubstitute():
            return _set_substitute(state, command, now)
        case EndSubstitute():
            return _end_substitute(state, command, now)
        case _:
            msg = f"no decision for {type(command).__name__}"
            raise TypeError(msg)


def may_substitute(principal: Principal, person: str) -> bool:
    """Whether the principal may say who decides in this person's absence: they and an ADMIN."""
    if authorization.administers(principal):
        return True
    return Role.ENGINE not in principal.roles and same_name(principal.id, person)


def first_version(state: Person, command: PersonCommand) -> int:
    """Return the version of the event by which a repeated command was carried out."""
    match command:
        case DeactivatePerson() | ReactivatePerson():
            return state.activity_version or state.recorded_version
        case SetSubstitute():
            same = [each for each in state.substitutes if _same_substitute(each, command)]
            return same[-1].version
        case EndSubstitute():
            ended = state.substitution(command.number)
            assert ended is not None
            return ended.ended_version
        case _:
            return state.recorded_version


def _forbidden(command: PersonCommand) -> str | None:
    by = command.by
    match command:
        case RecordPerson(source=source) if source in _SEEN_BY_SERVICE:
            by_server = by is authorization.SERVICE
            return None if by_server else "only the server itself records who has signed in"
        case SetSubstitute() | EndSubstitute():
            if may_substitute(by, command.person):
                return None
            return "naming a substitute of somebody else needs the role ADMIN"
        case _:
            if authorization.administers(by):
                return None
            return "changing the people of the directory needs the role ADMIN"


def _reactivate(state: Person, command: ReactivatePerson) -> Events:
    if state.active:
        return ()
    scim = authorization.SCIM.id
    if command.by.id == scim and state.deactivated_by != scim:
        # An administrator has deactivated them, perhaps in a hurry. SCIM repeats what it knows.
        return ()
    return (PersonReactivated(content=ReasonContent(reason=command.reason)),)


def _change_groups(state: Person, command: ChangeGroups) -> Events:
    if state.source is not PersonSource.SCIM:
        message = f"{state.person!r} is not kept up to date by SCIM"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    groups = (frozenset(state.groups) - command.left) | command.joined
    if len(groups) > MAX_GROUPS:
        message = f"groups has {len(groups)} entries, the limit is {MAX_GROUPS}"
        raise Refusal(RefusalCode.INVALID_INPUT, message)
    recorded = replace(_as_recorded(state), groups=tuple(sorted(groups)))
    return () if recorded.groups == state.groups else (recorded,)


def _record(state: Person | None, command: RecordPerson) -> Events:
    if state is not None and command.source.yields_to(state.source):
        if command.source in _SEEN_BY_SERVICE:
            return ()
        message = f"{command.person!r} is kept up to date by {state.source}; change it there"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    kept = () if state is None else state.groups
    recorded = PersonRecorded(
        person=command.person,
        groups=kept if command.groups is None else tuple(sorted(command.groups)),
        roles=tuple(sorted(command.roles)),
        source=command.source,
        external_id=command.external_id,
        provisioned_id=command.provisioned_id,
        content=PersonContent(name=command.name, emails=command.emails, details=command.details),
    )
    return () if state is not None and recorded == _as_recorded(state) else (recorded,)


def _as_recorded(state: Person) -> PersonRecorded:
    return PersonRecorded(
        person=state.person,
        groups=state.groups,
        roles=state.roles,
        source=state.source,
        external_id=state.external_id,
        provisioned_id=state.provisioned_id,
        content=PersonContent(name=state.name, emails=state.emails, details=state.details),
    )


def _know_and_set_substitute(command: SetSubstitute, now: datetime) -> Events:
    """The person who sends this was not recorded yet, so that is done first."""
    by = command.by
    recorded = PersonRecorded(
        person=command.person,
        groups=tuple(sorted(by.groups)),
        roles=tuple(sorted(by.roles)),
        source=PersonSource.API_KEY,
        content=PersonContent(name=by.name),
    )
    return recorded, _substitute(command, 1, now)


def _set_substitute(state: Person, command: SetSubstitute, now: datetime) -> Events:
    current = [each for each in state.substitutes if not each.over(now)]
    if any(_same_substitute(each, command) for each in current):
        return ()
    if len(current) >= MAX_SUBSTITUTES:
        message = f"{state.person!r} has {len(current)} substitutes already; end one of them first"
        raise Refusal(RefusalCode.INVALID_INPUT, message)
    return (_substitute(command, len(state.substitutes) + 1, now),)


def _substitute(command: SetSubstitute, number: int, now: datetime) -> SubstituteSet:
    starts_at = now if command.starts_at is None else command.starts_at
    latest = max(starts_at, now) + MAX_ABSENCE
    if not max(starts_at, now) < command.ends_at <= latest:
        message = (
            f"the end is {instant_json(command.ends_at)}; it must be after now and after the "
            f"beginning, and at most {MAX_ABSENCE.days} days later, {instant_json(latest)}"
        )
        raise Refusal(RefusalCode.INVALID_INPUT, message)
    return SubstituteSet(
        number=number,
        substitute=command.substitute,
        groups=None if command.groups is None else tuple(sorted(command.groups)),
        starts_at=starts_at,
        ends_at=command.ends_at,
        content=SubstituteContent(comment=command.comment),
    )


def _same_substitute(substitution: Substitution, command: SetSubstitute) -> bool:
    groups = None if command.groups is None else tuple(sorted(command.groups))
    # Without a beginning it is a repeat if it would go on as it is.
    starts_at = command.starts_at or substitution.starts_at
    return (
        not substitution.ended_version
        and same_name(substitution.substitute, command.substitute)
        and substitution.groups == groups
        and substitution.starts_at == starts_at
        and substitution.ends_at == command.ends_at
        and substitution.comment == command.comment
    )


def _end_substitute(state: Person, command: EndSubstitute, now: datetime) -> Events:
    found = state.substitution(command.number)
    if found is None:
        message = f"{state.person!r} has no substitute with the number {command.number}"
        raise Refusal(RefusalCode.NOT_FOUND, message)
    if found.ended_version:
        return ()
    if found.over(now):
        message = f"the substitution {found.number} of {state.person!r} is over already"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    return (SubstituteEnded(number=found.number, content=ReasonContent(reason=command.reason)),)
