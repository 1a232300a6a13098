"""Inputs: each becomes a command, or the filter of a query. An explicit null means the default.

A new command gets its input here, in the module of its subject, and nothing else here changes.
Imports the domain, the filters of the read models, and api.schema's scalars, enums and ids.
"""

from api.schema.inputs.any_command import CommandInput, chosen
from api.schema.inputs.approvals import (
    DecisionInput,
    RedemptionInput,
    RejectionInput,
    RequestApprovalInput,
    WithdrawalInput,
)
from api.schema.inputs.children import ChildInput
from api.schema.inputs.executions import (
    CancellationInput,
    CompletionInput,
    FailureInput,
    RetryInput,
    StartExecutionInput,
    StepInput,
)
from api.schema.inputs.filters import ApprovalFilterInput, EventFilterInput, ExecutionFilterInput
from api.schema.inputs.parking import ParkingInput, SuspensionInput, UnparkingInput
from api.schema.inputs.signals import SignalInput
from api.schema.inputs.timers import TimerCancellationInput, TimerInput

__all__ = [
    "ApprovalFilterInput",
    "CancellationInput",
    "ChildInput",
    "CommandInput",
    "CompletionInput",
    "DecisionInput",
    "EventFilterInput",
    "ExecutionFilterInput",
    "FailureInput",
    "ParkingInput",
    "RedemptionInput",
    "RejectionInput",
    "RequestApprovalInput",
    "RetryInput",
    "SignalInput",
    "StartExecutionInput",
    "StepInput",
    "SuspensionInput",
    "TimerCancellationInput",
    "TimerInput",
    "UnparkingInput",
    "WithdrawalInput",
    "chosen",
]
