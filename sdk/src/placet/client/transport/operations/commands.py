"""The commands: alone, several decisions at once, and an engine's."""

from collections.abc import Sequence

import msgspec
from msgspec.json import Decoder

from placet.client.transport.envelope import Operation, Response, Variables
from placet.client.transport.operations import fragments
from placet.models.commands import Command, Input
from placet.models.responses import Accepted, RefusedResult
from placet.models.worker_responses import Noted

Outcome = Accepted | RefusedResult
NotedOutcome = Noted | RefusedResult

_OUTCOME = Decoder(Response[Outcome])
_OUTCOMES = Decoder(Response[list[Outcome]])


def _one(command: Input) -> Variables:
    return {"input": command}


def _decisions(decisions: Sequence[Input]) -> Variables:
    return {"inputs": decisions}


def _commands(commands: Sequence[Command]) -> Variables:
    return {"inputs": [{command.field: command} for command in commands]}


def _encoded(commands: Sequence[msgspec.Raw]) -> Variables:
    return {"inputs": commands}


def _command(name: str, input_type: str, more: str = "") -> Operation[[Input], Outcome]:
    document = f"""mutation Command($input: {input_type}!) {{
  result: {name}(input: $input) {{ ...OutcomeFields{more} }}
}}
{fragments.OUTCOME}"""
    return Operation(document, _OUTCOME, _one)


def _approval(approval_id: str) -> Variables:
    return {"id": approval_id}


def _about(name: str) -> Operation[[str], Outcome]:
    document = f"""mutation About($id: ID!) {{
  result: {name}(approvalId: $id) {{ ...OutcomeFields }}
}}
{fragments.OUTCOME}"""
    return Operation(document, _OUTCOME, _approval)


def _batch(name: str, argument: str, input_type: str) -> str:
    return f"""mutation Batch($inputs: [{input_type}!]!) {{
  result: {name}({argument}: $inputs) {{ ...OutcomeFields }}
}}
{fragments.OUTCOME}"""


START_EXECUTION = _command("startExecution", "StartExecutionInput")
RECORD_STEP = _command("recordStep", "StepInput")
REQUEST_APPROVAL = _command(
    "requestApproval", "RequestApprovalInput", " ... on Accepted { warnings }"
)
WITHDRAW_APPROVAL = _command("withdrawApproval", "WithdrawalInput")
REDEEM_APPROVAL = _command("redeemApproval", "RedemptionInput")
COMPLETE_EXECUTION = _command("completeExecution", "CompletionInput")
FAIL_EXECUTION = _command("failExecution", "FailureInput")
GRANT_APPROVAL = _command("grantApproval", "DecisionInput")
REJECT_APPROVAL = _command("rejectApproval", "RejectionInput")
REQUEST_CHANGES = _command("requestChanges", "ChangesInput")
RETRACT_DECISION = _command("retractDecision", "RetractionInput")
DELEGATE_APPROVAL = _command("delegateApproval", "DelegationInput")
TAKE_BACK_DELEGATION = _command("takeBackDelegation", "TakeBackInput")
REVOKE_APPROVAL = _command("revokeApproval", "RevocationInput")
COMMENT_APPROVAL = _command("commentApproval", "CommentInput")
CLAIM_APPROVAL = _about("claimApproval")
UNCLAIM_APPROVAL = _about("unclaimApproval")
CANCEL_EXECUTION = _command("cancelExecution", "CancellationInput")
RETRY_EXECUTION = _command("retryExecution", "RetryInput")
SET_TIMER = _command("setTimer", "TimerInput")
CANCEL_TIMER = _command("cancelTimer", "TimerCancellationInput")
SEND_SIGNAL = _command("sendSignal", "SignalInput")
START_CHILD = _command("startChild", "ChildInput")
PARK_EXECUTION = _command("parkExecution", "ParkingInput")
UNPARK_EXECUTION = _command("unparkExecution", "UnparkingInput")

GRANT_APPROVALS = Operation(
    _batch("grantApprovals", "inputs", "DecisionInput"), _OUTCOMES, _decisions
)
REJECT_APPROVALS = Operation(
    _batch("rejectApprovals", "inputs", "RejectionInput"), _OUTCOMES, _decisions
)
SUBMIT = Operation(_batch("submit", "commands", "CommandInput"), _OUTCOMES, _commands)

NOTE = Operation(
    f"""mutation Note($inputs: [CommandInput!]!) {{
  result: submit(commands: $inputs) {{ ...NotedFields }}
}}
{fragments.NOTED}""",
    Decoder(Response[list[NotedOutcome]]),
    _encoded,
)
"""The commands of an engine, each encoded already."""
