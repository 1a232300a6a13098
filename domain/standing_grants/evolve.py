"""Apply the events of a standing grant to its state, one at a time."""

from msgspec.structs import replace

from domain.execution.events import Recorded
from domain.identifiers import ApprovalId
from domain.refusals import IllegalTransitionError
from domain.standing_grants.events import (
    StandingGrantCreated,
    StandingGrantRevoked,
    StandingGrantUsed,
    StandingGrantUseReturned,
)
from domain.standing_grants.state import StandingGrant, Use


def evolve(state: StandingGrant | None, recorded: Recorded) -> StandingGrant:
    """Return the state after the event. Raises IllegalTransitionError for one that can't follow."""
    event = recorded.event
    if state is None:
        if isinstance(event, StandingGrantCreated) and recorded.version == 1:
            return _created(recorded, event)
        msg = f"{type(event).__name__} can't happen before the creation of {recorded.execution_id}"
        raise IllegalTransitionError(msg)
    if (recorded.execution_id, recorded.version) != (state.id, state.version + 1):
        msg = (
            f"version {recorded.version} of {recorded.execution_id} "
            f"can't follow version {state.version} of {state.id}"
        )
        raise IllegalTransitionError(msg)
    match event:
        case StandingGrantUsed():
            changed = _used(state, recorded, event)
        case StandingGrantUseReturned():
            changed = _returned(state, recorded, event)
        case StandingGrantRevoked():
            changed = _revoked(state, recorded, event)
        case _:
            msg = f"{type(event).__name__} can't happen to the standing grant {state.id}"
            raise IllegalTransitionError(msg)
    return replace(changed, version=recorded.version, updated_at=recorded.at)


def _created(recorded: Recorded, event: StandingGrantCreated) -> StandingGrant:
    return StandingGrant(
        id=recorded.execution_id,
        version=recorded.version,
        by=recorded.actor,
        groups=event.groups,
        roles=event.roles,
        workflow=event.workflow,
        key=event.key,
        payload_schema=event.content.payload_schema,
        max_uses=event.max_uses,
        expires_at=event.expires_at,
        comment=event.content.comment,
        idempotency_key=event.idempotency_key,
        created_at=recorded.at,
        updated_at=recorded.at,
    )


def _used(state: StandingGrant, recorded: Recorded, event: StandingGrantUsed) -> StandingGrant:
    approval_id = _approval_id(event.approval_id)
    key = (approval_id, event.asked_version)
    if not state.open or recorded.at >= state.expires_at or key in state.uses:
        msg = f"the standing grant {state.id} can't be used for {event.approval_id} any more"
        raise IllegalTransitionError(msg)
    use = Use(
        approval_id=approval_id,
        asked_version=event.asked_version,
        digest=event.digest,
        at=recorded.at,
        version=recorded.version,
    )
    return replace(state, used=state.used + 1, uses=state.uses.insert(key, use))


def _returned(
    state: StandingGrant, recorded: Recorded, event: StandingGrantUseReturned
) -> StandingGrant:
    key = (_approval_id(event.approval_id), event.asked_version)
    use = state.uses.get(key)
    if use is None or not use.counts:
        msg = f"the standing grant {state.id} has no use for {event.approval_id} to give back"
        raise IllegalTransitionError(msg)
    returned = replace(use, returned_version=recorded.version)
    return replace(state, used=state.used - 1, uses=state.uses.insert(key, returned))


def _revoked(
    state: StandingGrant, recorded: Recorded, event: StandingGrantRevoked
) -> StandingGrant:
    if state.revoked_version:
        msg = f"the standing grant {state.id} was revoked already"
        raise IllegalTransitionError(msg)
    return replace(
        state,
        revoked_at=recorded.at,
        revoked_by=recorded.actor,
        revocation_reason=event.content.reason,
        revoked_version=recorded.version,
    )


def _approval_id(text: str) -> ApprovalId:
    approval_id = ApprovalId.parse(text)
    if approval_id is None:
        msg = f"{text!r} is not the id of an approval"
        raise IllegalTransitionError(msg)
    return approval_id
