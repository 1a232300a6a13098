"""The input of the command that sends a signal."""

from uuid import uuid4

import strawberry

from api.schema.ids import execution_id_of
from api.schema.scalars import JSON
from domain import values
from domain.execution import commands


@strawberry.input(
    description="Data for an execution. Its workflow can wait for signals by their name."
)
class SignalInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    name: str = strawberry.field(description="The name that the workflow waits for.")
    payload: JSON | None = strawberry.field(
        default=None, description="The data of the signal, at most 256 KiB of JSON."
    )
    key: str | None = strawberry.field(
        default=None,
        description="Signals with the same key are one signal. Without a key, each call sends "
        "another.",
    )

    def command(self, by: values.Principal) -> commands.SendSignal:
        """Make the command."""
        return commands.SendSignal(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            name=self.name,
            key=str(uuid4()) if self.key is None else self.key,
            payload=self.payload,
        )
