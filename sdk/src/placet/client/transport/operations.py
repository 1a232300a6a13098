"""The operations: each document with the type of its answer."""

from msgspec.json import Decoder

from placet.client.transport import documents
from placet.client.transport.envelope import Operation, Response
from placet.models import responses


class Released(responses.ResponseModel, frozen=True):
    """What a release answers."""

    released: int


class HistoryPage(responses.Execution, kw_only=True, frozen=True):
    """An execution with one page of its steps and of its approvals."""

    steps: responses.Page[responses.Step]
    approvals: responses.Page[responses.Approval]


class TranscriptPage(responses.Execution, kw_only=True, frozen=True):
    """An execution with one page of its events and of its approvals."""

    events: responses.Page[responses.Past]
    approvals: responses.Page[responses.ApprovalRecord]


Outcome = responses.Accepted | responses.RefusedResult
NotedOutcome = responses.Noted | responses.RefusedResult

_OUTCOME = Decoder(Response[Outcome])
_OUTCOMES = Decoder(Response[list[Outcome]])

START_EXECUTION = Operation(documents.START_EXECUTION, _OUTCOME)
RECORD_STEP = Operation(documents.RECORD_STEP, _OUTCOME)
REQUEST_APPROVAL = Operation(documents.REQUEST_APPROVAL, _OUTCOME)
WITHDRAW_APPROVAL = Operation(documents.WITHDRAW_APPROVAL, _OUTCOME)
REDEEM_APPROVAL = Operation(documents.REDEEM_APPROVAL, _OUTCOME)
COMPLETE_EXECUTION = Operation(documents.COMPLETE_EXECUTION, _OUTCOME)
FAIL_EXECUTION = Operation(documents.FAIL_EXECUTION, _OUTCOME)
GRANT_APPROVAL = Operation(documents.GRANT_APPROVAL, _OUTCOME)
REJECT_APPROVAL = Operation(documents.REJECT_APPROVAL, _OUTCOME)
CANCEL_EXECUTION = Operation(documents.CANCEL_EXECUTION, _OUTCOME)
RETRY_EXECUTION = Operation(documents.RETRY_EXECUTION, _OUTCOME)
SET_TIMER = Operation(documents.SET_TIMER, _OUTCOME)
CANCEL_TIMER = Operation(documents.CANCEL_TIMER, _OUTCOME)
SEND_SIGNAL = Operation(documents.SEND_SIGNAL, _OUTCOME)
START_CHILD = Operation(documents.START_CHILD, _OUTCOME)
PARK_EXECUTION = Operation(documents.PARK_EXECUTION, _OUTCOME)
UNPARK_EXECUTION = Operation(documents.UNPARK_EXECUTION, _OUTCOME)
GRANT_APPROVALS = Operation(documents.GRANT_APPROVALS, _OUTCOMES)
REJECT_APPROVALS = Operation(documents.REJECT_APPROVALS, _OUTCOMES)
SUBMIT = Operation(documents.SUBMIT, _OUTCOMES)
NOTE = Operation(documents.NOTE, Decoder(Response[list[NotedOutcome]]))

CLAIM_EXECUTIONS = Operation(documents.CLAIM_EXECUTIONS, Decoder(Response[responses.Poll]))
HEARTBEAT = Operation(documents.HEARTBEAT, Decoder(Response[responses.Heartbeat]))
RELEASE_EXECUTIONS = Operation(documents.RELEASE_EXECUTIONS, Decoder(Response[Released]))

VIEWER = Operation(documents.VIEWER, Decoder(Response[responses.Principal]))
EXECUTION = Operation(documents.EXECUTION, Decoder(Response[responses.Execution]))
HISTORY = Operation(documents.HISTORY, Decoder(Response[HistoryPage]))
TRANSCRIPT = Operation(documents.TRANSCRIPT, Decoder(Response[TranscriptPage]))
EXECUTION_AT = Operation(documents.EXECUTION_AT, Decoder(Response[responses.ExecutionSnapshot]))
APPROVAL = Operation(documents.APPROVAL, Decoder(Response[responses.Approval]))
EXECUTIONS = Operation(documents.EXECUTIONS, Decoder(Response[responses.Page[responses.Execution]]))
APPROVALS = Operation(documents.APPROVALS, Decoder(Response[responses.Page[responses.Approval]]))
EVENTS = Operation(documents.EVENTS, Decoder(Response[responses.Page[responses.RecordedEvent]]))

EXECUTION_EVENTS = Operation(documents.EXECUTION_EVENTS, Decoder(Response[responses.RecordedEvent]))
EVENTS_STREAM = Operation(documents.EVENTS_STREAM, Decoder(Response[responses.EventMessage]))
APPROVALS_STREAM = Operation(
    documents.APPROVALS_STREAM, Decoder(Response[responses.ApprovalMessage])
)
ASSIGNMENTS = Operation(documents.ASSIGNMENTS, Decoder(Response[responses.Assignment]))

EXECUTION_AFTER = Operation(documents.EXECUTION_AFTER, Decoder(Response[responses.ExecutionChange]))
MOVES = Operation(documents.MOVES, Decoder(Response[responses.Move]))
