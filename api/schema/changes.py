"""A cheap way to poll one execution: has it changed since a version, and to what?"""

from dataclasses import replace
from datetime import timedelta

import strawberry

from api.context import Context
from api.graphql.disconnect import while_there
from api.schema.authorized_lookups import still_allowed, visible_execution
from api.schema.limits import check_wait
from api.schema.nodes import Execution
from domain import authorization


@strawberry.type(
    description="Whether an execution has changed since a version, and its state if it has."
)
class ExecutionChange:
    changed: bool = strawberry.field(description="Whether its version is another one than asked.")
    version: int = strawberry.field(description="Its current version. Use it in the next call.")
    execution: Execution | None = strawberry.field(
        description="The execution; null if it has not changed."
    )


async def execution_after(
    context: Context, text: str, version: int, wait: timedelta | None
) -> ExecutionChange | None:
    """Return the change since a version, None if the viewer sees no such execution.

    The execution is read once. If it is still at the version, this waits up to ``wait`` for an
    event, without reading anything. Then the token is checked again, and the execution is read
    again if there was an event. A server that is shutting down answers at once.

    Raises LIMIT_EXCEEDED for a wait outside of 0 to 20 seconds, and UNAUTHENTICATED if the token
    is no longer valid.
    """
    wait = check_wait(wait)
    seconds = wait.total_seconds()
    tail = context.services.tail
    # Taken before the execution is read, so that no event in between is missed.
    position = tail.position
    execution = await visible_execution(context, text)
    if execution is None:
        return None
    if execution.version == version and seconds:
        moving = tail.wait_for_version(execution.id, version, after=position, seconds=seconds)
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
