"""Finds executions, approvals, standing grants and events, as far as the viewer may see them."""

from api.context import Context
from api.errors import unauthenticated
from api.schema.inputs import EventFilterInput
from domain import authorization
from domain.approvals import state as approval_state
from domain.execution import state
from domain.identifiers import ApprovalId, parse_uuid
from domain.standing_grants.decide import sees
from domain.standing_grants.state import StandingGrant
from domain.values import Principal, Role
from projections.events.query import EventQuery

NOTHING: frozenset[str] = frozenset()


async def visible_execution(context: Context, text: str) -> state.Execution | None:
    """Return the current execution with this id, None if the viewer may not see it."""
    execution_id = parse_uuid(text)
    if execution_id is None:
        return None
    execution = await context.services.reader.execution(execution_id)
    if execution is None or not authorization.sees_execution(context.principal, execution):
        return None
    return execution


async def visible_approval(
    context: Context, text: str
) -> tuple[state.Execution, approval_state.Approval] | None:
    """Return the current approval with this id, None if the viewer may not see it."""
    approval_id = ApprovalId.parse(text)
    if approval_id is None:
        return None
    execution = await context.services.reader.execution(approval_id.execution_id)
    if execution is None:
        return None
    approval = execution.approvals.get(approval_id.ordinal)
    if approval is None or not authorization.sees_approval(context.principal, execution, approval):
        return None
    return execution, approval


async def visible_standing_grant(context: Context, text: str) -> StandingGrant | None:
    """Return the current standing grant with this id, None if the viewer may not see it."""
    id_ = parse_uuid(text)
    grant = None if id_ is None else await context.services.reader.standing_grant(id_)
    return None if grant is None or not sees(context.principal, grant) else grant


def event_query(context: Context, wanted: EventFilterInput | None) -> EventQuery:
    """Make the query for the events that match and that the viewer may see."""
    principal = context.principal
    queues: frozenset[str] | None
    if authorization.sees_all(principal):
        queues = None
    else:
        queues = principal.queues if Role.ENGINE in principal.roles else NOTHING
    return (wanted or EventFilterInput()).value_of(
        queues, beside_executions=authorization.sees_standing_grants(principal)
    )


async def still_allowed(context: Context) -> Principal:
    """Return the current principal. Raises UNAUTHENTICATED if its token is no longer valid."""
    principal = await context.recheck()
    if principal is None:
        raise unauthenticated("the token was revoked or has expired; use another one")
    return principal
