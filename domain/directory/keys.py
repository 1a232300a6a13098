"""Decide the commands about API keys, and apply their events."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from domain import authorization
from domain.directory.key_commands import (
    AdoptApiKey,
    ApiKeyCommand,
    CreateApiKey,
    RevokeApiKey,
    RotateApiKey,
)
from domain.directory.key_events import (
    ApiKeyAdopted,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeyRotated,
)
from domain.directory.key_state import RecordedKey
from domain.execution.events import Events, Recorded
from domain.names import same_name
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.values import Actor


def decide(state: RecordedKey | None, command: ApiKeyCommand, now: datetime) -> Events:
    """Return the events that the command causes; none for a repeat. Raises Refusal.

    ``state`` is None if the key has no events. ``now`` is the time that the events will have.
    """
    if reason := _forbidden(command):
        raise Refusal(RefusalCode.FORBIDDEN, reason)
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    match command:
        case CreateApiKey():
            return _create(state, command)
        case AdoptApiKey():
            return () if state is not None else (_adopted(command),)
    if state is None:
        raise Refusal(RefusalCode.NOT_FOUND, f"there is no key {command.name!r}")
    match command:
        case RotateApiKey():
            return _rotate(state, command, now)
        case RevokeApiKey():
            return () if state.revoked_at is not None else (ApiKeyRevoked(),)
        case _:
            msg = f"no decision for {type(command).__name__}"
            raise TypeError(msg)


def first_version(state: RecordedKey, command: ApiKeyCommand) -> int:
    """Return the version of the event by which a repeated command was carried out."""
    return 1 if isinstance(command, CreateApiKey | AdoptApiKey) else state.changed_version


def evolve(state: RecordedKey | None, recorded: Recorded) -> RecordedKey:
    """Return the state after the event. Raises IllegalTransitionError for one that can't follow."""
    event = recorded.event
    if state is None:
        if recorded.version == 1 and isinstance(event, ApiKeyCreated | ApiKeyAdopted):
            return _first(recorded, event)
        msg = f"{type(event).__name__} can't happen before {recorded.execution_id} is created"
        raise IllegalTransitionError(msg)
    if (recorded.execution_id, recorded.version) != (state.id, state.version + 1):
        msg = (
            f"version {recorded.version} of {recorded.execution_id} "
            f"can't follow version {state.version} of {state.id}"
        )
        raise IllegalTransitionError(msg)
    match event:
        case ApiKeyRotated(generation=generation) if (
            generation == state.generation + 1 and state.valid(recorded.at)
        ):
            changed = _rotated(state, recorded, event)
        case ApiKeyRevoked() if state.revoked_at is None:
            revoked_by = _who(recorded.actor)
            changed = replace(state, revoked_at=recorded.at, revoked_by=revoked_by)
        case _:
            msg = f"{type(event).__name__} can't happen to the key {state.name!r} as it is"
            raise IllegalTransitionError(msg)
    version = recorded.version
    return replace(changed, version=version, changed_version=version, updated_at=recorded.at)


def _forbidden(command: ApiKeyCommand) -> str | None:
    if isinstance(command, AdoptApiKey):
        by_server = command.by is authorization.SERVICE
        return None if by_server else "only the server itself may send this command"
    if authorization.administers(command.by):
        return None
    return "making, rotating and revoking API keys needs the role ADMIN"


def _create(state: RecordedKey | None, command: CreateApiKey) -> Events:
    if state is not None:
        if state.token_hash == command.token_hash:
            return ()
        message = f"there is a key named {command.name!r} already; names are not used twice"
        raise Refusal(RefusalCode.KEY_REUSED, message)
    return (
        ApiKeyCreated(
            name=command.name,
            owner=command.owner,
            roles=tuple(sorted(command.roles)),
            groups=tuple(sorted(command.groups)),
            queues=None if command.queues is None else tuple(sorted(command.queues)),
            expires_at=command.expires_at,
            token_hash=command.token_hash,
        ),
    )


def _adopted(command: AdoptApiKey) -> ApiKeyAdopted:
    return ApiKeyAdopted(
        name=command.name,
        owner=command.owner,
        roles=tuple(sorted(command.roles)),
        groups=tuple(sorted(command.groups)),
        queues=None if command.queues is None else tuple(sorted(command.queues)),
        expires_at=command.expires_at,
        token_hash=command.token_hash,
        created_at=command.created_at,
        created_by=command.created_by,
        generation=command.generation,
        rotated_at=command.rotated_at,
        rotated_by=command.rotated_by,
        previous_hash=command.previous_hash,
        previous_until=command.previous_until,
    )


def _rotate(state: RecordedKey, command: RotateApiKey, now: datetime) -> Events:
    if state.token_hash == command.token_hash:
        return ()
    if state.generation != command.generation or not state.valid(now):
        message = f"the key {state.name!r} was rotated or revoked meanwhile, or has expired"
        raise Refusal(RefusalCode.VERSION_CONFLICT, message)
    overlaps = command.overlap > timedelta(0)
    return (
        ApiKeyRotated(
            generation=state.generation + 1,
            token_hash=command.token_hash,
            previous_until=now + command.overlap if overlaps else None,
        ),
    )


def _first(recorded: Recorded, event: ApiKeyCreated | ApiKeyAdopted) -> RecordedKey:
    key = RecordedKey(
        id=recorded.execution_id,
        version=recorded.version,
        name=event.name,
        owner=event.owner,
        roles=event.roles,
        groups=event.groups,
        queues=event.queues,
        expires_at=event.expires_at,
        token_hash=event.token_hash,
        created_at=recorded.at,
        created_by=_who(recorded.actor),
        changed_version=recorded.version,
        updated_at=recorded.at,
    )
    if isinstance(event, ApiKeyCreated):
        return key
    return replace(
        key,
        created_at=event.created_at,
        created_by=event.created_by,
        generation=event.generation,
        rotated_at=event.rotated_at,
        rotated_by=event.rotated_by,
        previous_hash=event.previous_hash,
        previous_until=event.previous_until,
    )


def _rotated(state: RecordedKey, recorded: Recorded, event: ApiKeyRotated) -> RecordedKey:
    return replace(
        state,
        generation=event.generation,
        token_hash=event.token_hash,
        previous_hash=None if event.previous_until is None else state.token_hash,
        previous_until=event.previous_until,
        rotated_at=recorded.at,
        rotated_by=_who(recorded.actor),
    )


def _who(actor: Actor) -> str | None:
    """Return who did it, None for the command line."""
    return None if same_name(actor.id, authorization.COMMAND_LINE.id) else actor.id
