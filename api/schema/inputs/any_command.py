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
    start_execution: StartExecutionInput | None = strawberry.UNSET
    record_step: StepInput | None = strawberry.UNSET
    request_approval: RequestApprovalInput | None = strawberry.UNSET
    withdraw_approval: WithdrawalInput | None = strawberry.UNSET
    redeem_approval: RedemptionInput | None = strawberry.UNSET
    set_timer: TimerInput | None = strawberry.UNSET
    cancel_timer: TimerCancellationInput | None = strawberry.UNSET
    send_signal: SignalInput | None = strawberry.UNSET
    start_child: ChildInput | None = strawberry.UNSET
    suspend_execution: SuspensionInput | None = strawberry.UNSET
    park_execution: ParkingInput | None = strawberry.UNSET
    complete_execution: CompletionInput | None = strawberry.UNSET
    fail_execution: FailureInput | None = strawberry.UNSET

    def command(self, by: values.Principal) -> commands.Command:
        """Make the command that was given."""
        command: commands.Command = chosen(self).command(by)
        return command


def chosen(given: Any) -> Any:
    """Return the input, or the one inside a CommandInput."""
    if not isinstance(given, CommandInput):
        return given
    return next(v for v in vars(given).values() if v is not strawberry.UNSET)
