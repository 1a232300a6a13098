"""What queries and subscriptions share: finding what the viewer may see."""

from api.context import Context
from api.schema.inputs import EventFilterInput
from application.event_store.reader import EventQuery
from domain import authorization
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.identifiers import ApprovalId, parse_uuid
from domain.values import Role

NOTHING: frozenset[str] = frozenset()


async def visible_execution(context: Context, text: str) -> Execution | None:
    """Give the execution with this id as it stands, if the viewer may see it."""
    execution_id = parse_uuid(text)
    if execution_id is None:
        return None
    execution = await context.services.reader.execution(execution_id)
    if execution is None or not authorization.sees_execution(context.principal, execution):
        return None
    return execution


async def visible_approval(context: Context, text: str) -> tuple[Execution, Approval] | None:
    """Give the approval with this id as it stands, if the viewer may see it."""
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


def event_query(context: Context, wanted: EventFilterInput | None) -> EventQuery:
    """Give the query for the events that are wanted and that the viewer may see."""
    principal = context.principal
    queues: frozenset[str] | None
    if authorization.sees_all(principal):
        queues = None
    else:
        queues = principal.queues if Role.ENGINE in principal.roles else NOTHING
    return (wanted or EventFilterInput()).value_of(queues)
