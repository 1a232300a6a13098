"""Inputs of commands that keep workers from an execution, for a while or until a person acts."""

import strawberry

from api.schema.ids import execution_id_of
from domain import values
from domain.execution import commands


@strawberry.input(
    description="Says that the worker waits for nothing but timers, signals and children."
)
class SuspensionInput:
    execution_id: strawberry.ID
    fence: int | None = None
    seen: int = strawberry.field(
        description="The wokenVersion up to which the worker has dealt with what came; if more "
        "came since, this is VERSION_CONFLICT."
    )

    def command(self, by: values.Principal) -> commands.SuspendExecution:
        """Build the command."""
        return commands.SuspendExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            seen=self.seen,
        )


@strawberry.input(description="Keeps every worker from an execution, and says what is wrong.")
class ParkingInput:
    execution_id: strawberry.ID
    fence: int | None = None
    reason: str

    def command(self, by: values.Principal) -> commands.ParkExecution:
        """Build the command."""
        return commands.ParkExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            reason=self.reason,
        )


@strawberry.input(description="Lets workers go on with a parked execution.")
class UnparkingInput:
    execution_id: strawberry.ID

    def command(self, by: values.Principal) -> commands.UnparkExecution:
        """Build the command."""
        return commands.UnparkExecution(by=by, execution_id=execution_id_of(self.execution_id))
