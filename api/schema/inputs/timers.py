"""Inputs of commands about timers."""

from datetime import datetime, timedelta

import strawberry

from api.schema.ids import execution_id_of
from domain import values
from domain.execution import commands


@strawberry.input(
    description="A timer, identified by its key. It takes exactly one of delay, which starts when "
    "the timer is recorded, and until, a moment in the database's time."
)
class TimerInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    key: str = strawberry.field(
        description="The key of the timer, unique in the execution. A repeat with the same key "
        "sets nothing new."
    )
    delay: timedelta | None = strawberry.field(
        default=None,
        description="How long after it was recorded the timer fires, at most 36,500 days.",
    )
    until: datetime | None = strawberry.field(default=None, description="When the timer fires.")

    def command(self, by: values.Principal) -> commands.SetTimer:
        """Make the command."""
        return commands.SetTimer(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            delay=self.delay,
            until=self.until,
        )


@strawberry.input(description="Cancels a timer. After it has fired, this changes nothing.")
class TimerCancellationInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    key: str = strawberry.field(description="The key of the timer.")

    def command(self, by: values.Principal) -> commands.CancelTimer:
        """Make the command."""
        return commands.CancelTimer(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
        )
