"""Inputs of commands that keep workers off an execution, for a while or until it is unparked."""

import strawberry

from api.schema.ids import execution_id_of
from domain import values
from domain.execution import commands


@strawberry.input(description="Says that the worker only waits for timers, signals or children.")
class SuspensionInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    seen: int = strawberry.field(
        description="The wokenVersion that the worker has handled. If the execution has a later "
        "one, this is refused with VERSION_CONFLICT."
    )

    def command(self, by: values.Principal) -> commands.SuspendExecution:
        """Make the command."""
        return commands.SuspendExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            seen=self.seen,
        )


@strawberry.input(
    description="Keeps all workers off an execution, and says why. A worker gives its fence; an "
    "operator gives none."
)
class ParkingInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed, or "
        "if an operator parks it.",
    )
    reason: str = strawberry.field(
        description="Why no worker should continue it, for the person who unparks it."
    )

    def command(self, by: values.Principal) -> commands.ParkExecution:
        """Make the command."""
        return commands.ParkExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            reason=self.reason,
        )


@strawberry.input(description="Lets workers continue a parked execution.")
class UnparkingInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")

    def command(self, by: values.Principal) -> commands.UnparkExecution:
        """Make the command."""
        return commands.UnparkExecution(by=by, execution_id=execution_id_of(self.execution_id))
