"""The input of the command that starts a child."""

import strawberry

from api.schema.enums import ParentEnd
from api.schema.ids import execution_id_of
from api.schema.scalars import JSON
from domain import values
from domain.execution import commands


@strawberry.input(
    description="A child execution to start, identified by its key. It gets the same initiator, "
    "and the parent gets a ChildEnded event when it has ended."
)
class ChildInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the parent.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    key: str = strawberry.field(
        description="The key of the child, unique in the parent. A repeat with the same key "
        "starts nothing new."
    )
    workflow: str = strawberry.field(description="The name of the workflow that the child runs.")
    workflow_version: str | None = strawberry.field(
        default=None, description="The version of the workflow; null if it is to have none."
    )
    queue: str | None = strawberry.field(
        default="default", description="The queue whose workers run the child. Null means default."
    )
    input: JSON | None = strawberry.field(
        default=None, description="The input of the workflow, at most 256 KiB of JSON."
    )

    on_parent_end: ParentEnd | None = strawberry.field(
        default=None,
        description="What becomes of the child if the parent ends before it. Null: it is cancelled "
        "if the parent is cancelled, and goes on otherwise.",
    )

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
            on_parent_end=self.on_parent_end,
        )
