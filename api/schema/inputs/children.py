"""The input of the command that starts a child."""

import strawberry

from api.schema.ids import execution_id_of
from api.schema.scalars import JSON
from domain import values
from domain.execution import commands


@strawberry.input(
    description="A child execution to start, identified by its key. It gets the same initiator, "
    "and the parent gets a ChildEnded event when it has ended."
)
class ChildInput:
    execution_id: strawberry.ID
    fence: int | None = None
    key: str
    workflow: str
    workflow_version: str | None = None
    queue: str | None = "default"
    input: JSON | None = None

    def command(self, by: values.Principal) -> commands.StartChild:
        """Make the command."""
        return commands.StartChild(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            workflow=self.workflow,
            workflow_version=self.workflow_version,
            queue="default" if self.queue is None else self.queue,
            input=self.input,
        )
