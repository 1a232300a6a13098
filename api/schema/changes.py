"""A cheap poll: what an execution has become since a version, and waiting for it to become so."""

from dataclasses import replace
from datetime import timedelta

import strawberry

from api.context import Context
from api.graphql.disconnect import while_there
from api.schema.limits import check_wait
from api.schema.nodes import Execution
from api.schema.visibility import still_allowed, visible_execution
from domain import authorization


@strawberry.type(description="Whether an execution is still at a version, and if not, how it is.")
class ExecutionChange:
    changed: bool = strawberry.field(description="Whether it is at another version than asked.")
    version: int = strawberry.field(description="Where it stands: what to ask with next.")
    execution: Execution | None = strawberry.field(description="Null if it has not changed.")


async def execution_after(
    context: Context, text: str, version: int, wait: timedelta | None
) -> ExecutionChange | None:
    """Give the change since a version, None if there is no such execution for this viewer.

    It is read once. If it is still at the version, up to ``wait`` (LIMIT_EXCEEDED outside of 0 to
    20 seconds) is spent listening to the tail, which reads nothing while nothing happens; who may
    see it is asked again then (UNAUTHENTICATED if the token has ended), and it is read again only
    if there was an event. A server that is ending answers at once.
    """
    wait = check_wait(wait)
    seconds = wait.total_seconds()
    tail = context.services.tail
    # Fixed before the execution is read, so that nothing falls between the two.
    position = tail.position
    execution = await visible_execution(context, text)
    if execution is None:
        return None
    if execution.version == version and seconds:
        moving = tail.moves(execution.id, version, after=position, seconds=seconds)
        moved = await while_there(context.gone, moving, wait=wait)
        principal = await still_allowed(context)
        if moved:
            execution = await visible_execution(replace(context, principal=principal), text)
        elif not authorization.sees_execution(principal, execution):
            execution = None
        if execution is None:
            return None
    changed = execution.version != version
    return ExecutionChange(
        changed=changed,
        version=execution.version,
        execution=Execution.of(execution) if changed else None,
    )
