"""Decide the commands about standing grants.

If several refusals apply, the first in this order is reported: FORBIDDEN by role, NOT_FOUND,
FORBIDDEN by person, INVALID_INPUT, a repeat or KEY_REUSED, INVALID_TRANSITION, and INVALID_INPUT
for an end that is over or too late.
"""

from datetime import datetime

from domain import authorization
from domain.approvals.document import instant_json
from domain.execution.event import ReasonContent
from domain.execution.events import Events
from domain.names import same_name
from domain.refusals import Refusal, RefusalCode
from domain.serialization.canonical_json import same
from domain.standing_grants.commands import (
    MAX_LIFETIME,
    CreateStandingGrant,
    ReturnStandingGrantUse,
    RevokeStandingGrant,
    StandingGrantCommand,
    UseStandingGrant,
)
from domain.standing_grants.events import (
    StandingGrantContent,
    StandingGrantCreated,
    StandingGrantRevoked,
    StandingGrantUsed,
    StandingGrantUseReturned,
)
from domain.standing_grants.state import StandingGrant, StandingGrantStatus
from domain.values import Principal, Role


def decide(state: StandingGrant | None, command: StandingGrantCommand, now: datetime) -> Events:
    """Return the events that the command causes; none for a repeat. Raises Refusal.

    ``state`` is None if there is no such grant. ``now`` is the time that the events will have.
    """
    if reason := _forbidden(command):
        raise Refusal(RefusalCode.FORBIDDEN, reason)
    if isinstance(command, CreateStandingGrant):
        return _create(state, command, now)
    if state is None or not _known_to(command.by, state):
        message = f"no standing grant {command.execution_id} that this token may see"
        raise Refusal(RefusalCode.NOT_FOUND, message)
    if isinstance(command, RevokeStandingGrant) and not may_revoke(command.by, state):
        message = "revoking a standing grant of somebody else needs the role OPERATOR or ADMIN"
        raise Refusal(RefusalCode.FORBIDDEN, message)
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    match command:
        case UseStandingGrant():
            return _use(state, command, now)
        case ReturnStandingGrantUse():
            return _return_use(state, command)
        case RevokeStandingGrant():
            return _revoke(state, command)
        case _:
            msg = f"no decision for {type(command).__name__}"
            raise TypeError(msg)


def may_revoke(principal: Principal, grant: StandingGrant) -> bool:
    """Whether the principal may revoke the grant: its owner, OPERATOR and ADMIN."""
    if Role.ENGINE in principal.roles:
        return False
    return same_name(principal.id, grant.by.id) or not authorization.OPERATORS.isdisjoint(
        principal.roles
    )


def sees(principal: Principal, grant: StandingGrant) -> bool:
    """Whether the principal may know that the grant exists: its owner, AUDITOR and ADMIN."""
    return authorization.sees_standing_grants(principal) or same_name(principal.id, grant.by.id)


def _known_to(principal: Principal, grant: StandingGrant) -> bool:
    return sees(principal, grant) or may_revoke(principal, grant)


def _forbidden(command: StandingGrantCommand) -> str | None:
    match command:
        case UseStandingGrant() | ReturnStandingGrantUse():
            by_server = command.by is authorization.SERVICE
            return None if by_server else "only the server itself may send this command"
        case CreateStandingGrant() if not authorization.may_decide(command.by):
            if Role.ENGINE in command.by.roles:
                return "a token with the role ENGINE never decides approvals, also not in advance"
            held = authorization.held(command.by.groups)
            return f"allowing approvals in advance needs the role APPROVER; {held}"
        case _:
            return None


def _create(state: StandingGrant | None, command: CreateStandingGrant, now: datetime) -> Events:
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    if state is not None:
        if _same_grant(state, command):
            return ()
        message = (
            f"{command.by.id} used the idempotencyKey {command.idempotency_key!r} for another "
            "standing grant; give each its own key"
        )
        raise Refusal(RefusalCode.KEY_REUSED, message)
    latest = now + MAX_LIFETIME
    if not now < command.expires_at <= latest:
        message = (
            f"expiresAt is {instant_json(command.expires_at)}; it must be after now and at most "
            f"{MAX_LIFETIME.days} days away, {instant_json(latest)}"
        )
        raise Refusal(RefusalCode.INVALID_INPUT, message)
    return (
        StandingGrantCreated(
            workflow=command.workflow,
            key=command.key,
            max_uses=command.max_uses,
            expires_at=command.expires_at,
            groups=tuple(sorted(command.by.groups)),
            roles=tuple(sorted(command.by.roles)),
            idempotency_key=command.idempotency_key,
            content=StandingGrantContent(
                payload_schema=command.payload_schema, comment=command.comment
            ),
        ),
    )


def _same_grant(state: StandingGrant, command: CreateStandingGrant) -> bool:
    return (
        state.workflow,
        state.key,
        state.max_uses,
        state.expires_at,
        state.comment,
    ) == (
        command.workflow,
        command.key,
        command.max_uses,
        command.expires_at,
        command.comment,
    ) and same(state.payload_schema, command.payload_schema)


def _use(state: StandingGrant, command: UseStandingGrant, now: datetime) -> Events:
    if (command.approval_id, command.asked_version) in state.uses:
        return ()
    status = state.status(now)
    if status is not StandingGrantStatus.ACTIVE:
        message = f"standing grant {state.id} is {status}"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    return (
        StandingGrantUsed(
            approval_id=str(command.approval_id),
            digest=command.digest,
            asked_version=command.asked_version,
        ),
    )


def _return_use(state: StandingGrant, command: ReturnStandingGrantUse) -> Events:
    use = state.uses.get((command.approval_id, command.asked_version))
    if use is None:
        message = f"standing grant {state.id} was not used for approval {command.approval_id}"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    if not use.counts:
        return ()
    return (
        StandingGrantUseReturned(
            approval_id=str(command.approval_id),
            asked_version=command.asked_version,
            content=ReasonContent(reason=command.reason),
        ),
    )


def _revoke(state: StandingGrant, command: RevokeStandingGrant) -> Events:
    if state.revoked_version:
        return ()
    return (StandingGrantRevoked(content=ReasonContent(reason=command.reason)),)


def first_version(state: StandingGrant, command: StandingGrantCommand) -> int:
    """Return the version of the event by which a repeated command was carried out."""
    match command:
        case UseStandingGrant():
            return state.uses[command.approval_id, command.asked_version].version
        case ReturnStandingGrantUse():
            return state.uses[command.approval_id, command.asked_version].returned_version
        case RevokeStandingGrant():
            return state.revoked_version
        case _:
            return 1
