"""Inputs: each becomes a command, or the filter of a query. An explicit null means the default.

A new command gets its input here, in the module of its subject, and nothing else here changes.
Imports the domain, the filters of the read models, and api.schema's scalars, enums and ids.
"""

from api.schema.inputs.any_command import CommandInput, chosen
from api.schema.inputs.approvals import (
    RedemptionInput,
    RequestApprovalInput,
    WithdrawalInput,
)
from api.schema.inputs.children import ChildInput
from api.schema.inputs.decisions import (
    ChangesInput,
    CommentInput,
    DecisionInput,
    DelegationInput,
    RejectionInput,
    RetractionInput,
    RevocationInput,
    TakeBackInput,
)
from api.schema.inputs.executions import (
    CancellationInput,
    CompletionInput,
    FailureInput,
    RetryInput,
    StartExecutionInput,
    StepInput,
)
from api.schema.inputs.filters import (
    ApprovalFilterInput,
    DecisionFilterInput,
    EventFilterInput,
    ExecutionFilterInput,
)
from api.schema.inputs.parking import ParkingInput, SuspensionInput, UnparkingInput
from api.schema.inputs.signals import SignalInput
from api.schema.inputs.standing_grants import StandingGrantInput
from api.schema.inputs.timers import TimerCancellationInput, TimerInput

__all__ = [
    "ApprovalFilterInput",
    "CancellationInput",
    "ChangesInput",
    "ChildInput",
    "CommandInput",
    "CommentInput",
    "CompletionInput",
    "DecisionFilterInput",
    "DecisionInput",
    "DelegationInput",
    "EventFilterInput",
    "ExecutionFilterInput",
    "FailureInput",
    "ParkingInput",
    "RedemptionInput",
    "RejectionInput",
    "RequestApprovalInput",
    "RetractionInput",
    "RetryInput",
    "RevocationInput",
    "SignalInput",
    "StandingGrantInput",
    "StartExecutionInput",
    "StepInput",
    "SuspensionInput",
    "TakeBackInput",
    "TimerCancellationInput",
    "TimerInput",
    "UnparkingInput",
    "WithdrawalInput",
    "chosen",
]
