"""One input for any command of a worker. ``submit`` takes a list of it."""

from typing import Any

import strawberry

from api.schema.inputs.approvals import RedemptionInput, RequestApprovalInput, WithdrawalInput
from api.schema.inputs.children import ChildInput
from api.schema.inputs.executions import (
    CompletionInput,
    FailureInput,
    StartExecutionInput,
    StepInput,
)
from api.schema.inputs.parking import ParkingInput, SuspensionInput
from api.schema.inputs.signals import SignalInput
from api.schema.inputs.timers import TimerCancellationInput, TimerInput
from domain import values
from domain.execution import commands


@strawberry.input(
    one_of=True, description="One command of a worker; exactly one field must be given."
)
class CommandInput:
    start_execution: StartExecutionInput | None = strawberry.field(
        default=strawberry.UNSET, description="Starts an execution."
    )
    record_step: StepInput | None = strawberry.field(
        default=strawberry.UNSET, description="Records the result of a step, or a failed attempt."
    )
    request_approval: RequestApprovalInput | None = strawberry.field(
        default=strawberry.UNSET, description="Requests approval by people."
    )
    withdraw_approval: WithdrawalInput | None = strawberry.field(
        default=strawberry.UNSET, description="Withdraws a pending request for approval."
    )
    redeem_approval: RedemptionInput | None = strawberry.field(
        default=strawberry.UNSET, description="Redeems a granted approval."
    )
    set_timer: TimerInput | None = strawberry.field(
        default=strawberry.UNSET, description="Sets a timer."
    )
    cancel_timer: TimerCancellationInput | None = strawberry.field(
        default=strawberry.UNSET, description="Cancels a timer."
    )
    send_signal: SignalInput | None = strawberry.field(
        default=strawberry.UNSET, description="Sends a signal to an execution."
    )
    start_child: ChildInput | None = strawberry.field(
        default=strawberry.UNSET, description="Starts a child of an execution."
    )
    suspend_execution: SuspensionInput | None = strawberry.field(
        default=strawberry.UNSET,
        description="Says that the worker has nothing to do until a timer, a signal or a child.",
    )
    park_execution: ParkingInput | None = strawberry.field(
        default=strawberry.UNSET, description="Keeps all workers off an execution."
    )
    complete_execution: CompletionInput | None = strawberry.field(
        default=strawberry.UNSET, description="Completes an execution."
    )
    fail_execution: FailureInput | None = strawberry.field(
        default=strawberry.UNSET, description="Fails an execution."
    )

    def command(self, by: values.Principal) -> commands.Command:
        """Make the command that was given."""
        command: commands.Command = chosen(self).command(by)
        return command


def chosen(given: Any) -> Any:
    """Return the input, or the one inside a CommandInput."""
    if not isinstance(given, CommandInput):
        return given
    return next(v for v in vars(given).values() if v is not strawberry.UNSET)
