"""Inputs about what an execution waits for beside people, and the commands that they become."""

from datetime import datetime, timedelta
from uuid import uuid4

import strawberry

from api.schema.ids import execution_id_of
from api.schema.scalars import JSON
from domain import values
from domain.execution import commands


@strawberry.input(
    description="A timer, known by its key: exactly one of delay, from when it is recorded, and "
    "until, a moment of the database's time."
)
class TimerInput:
    execution_id: strawberry.ID
    fence: int | None = None
    key: str
    delay: timedelta | None = None
    until: datetime | None = None

    def command(self, by: values.Principal) -> commands.SetTimer:
        """Build the command."""
        return commands.SetTimer(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            delay=self.delay,
            until=self.until,
        )


@strawberry.input(description="Takes a timer back; once it has fired this changes nothing.")
class TimerCancellationInput:
    execution_id: strawberry.ID
    fence: int | None = None
    key: str

    def command(self, by: values.Principal) -> commands.CancelTimer:
        """Build the command."""
        return commands.CancelTimer(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
        )


@strawberry.input(description="Data for an execution that may wait for a signal of this name.")
class SignalInput:
    execution_id: strawberry.ID
    name: str
    payload: JSON | None = None
    key: str | None = strawberry.field(
        default=None, description="What it is known by; without one, each sending is another."
    )

    def command(self, by: values.Principal) -> commands.SendSignal:
        """Build the command."""
        return commands.SendSignal(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            name=self.name,
            key=str(uuid4()) if self.key is None else self.key,
            payload=self.payload,
        )


@strawberry.input(
    description="Another execution to start for this one, known by its key. It has the same "
    "initiator, and its end is told to this one."
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
        """Build the command."""
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
