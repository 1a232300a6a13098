"""The operations: each document with the type of its answer."""

from msgspec.json import Decoder

from placet import documents, model
from placet.wire import Operation, Response


class Released(model.Record, frozen=True):
    """What a release answers."""

    released: int


class HistoryPage(model.Execution, kw_only=True, frozen=True):
    """An execution with one page of its steps and of its approvals."""

    steps: model.Page[model.Step]
    approvals: model.Page[model.Approval]


class TranscriptPage(model.Execution, kw_only=True, frozen=True):
    """An execution with one page of its events and of its approvals."""

    events: model.Page[model.Past]
    approvals: model.Page[model.ApprovalRecord]


Outcome = model.Accepted | model.RefusedResult
NotedOutcome = model.Noted | model.RefusedResult

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

CLAIM_EXECUTIONS = Operation(documents.CLAIM_EXECUTIONS, Decoder(Response[model.Poll]))
HEARTBEAT = Operation(documents.HEARTBEAT, Decoder(Response[model.Heartbeat]))
RELEASE_EXECUTIONS = Operation(documents.RELEASE_EXECUTIONS, Decoder(Response[Released]))

VIEWER = Operation(documents.VIEWER, Decoder(Response[model.Principal]))
EXECUTION = Operation(documents.EXECUTION, Decoder(Response[model.Execution]))
HISTORY = Operation(documents.HISTORY, Decoder(Response[HistoryPage]))
TRANSCRIPT = Operation(documents.TRANSCRIPT, Decoder(Response[TranscriptPage]))
EXECUTION_AT = Operation(documents.EXECUTION_AT, Decoder(Response[model.ExecutionSnapshot]))
APPROVAL = Operation(documents.APPROVAL, Decoder(Response[model.Approval]))
EXECUTIONS = Operation(documents.EXECUTIONS, Decoder(Response[model.Page[model.Execution]]))
APPROVALS = Operation(documents.APPROVALS, Decoder(Response[model.Page[model.Approval]]))
EVENTS = Operation(documents.EVENTS, Decoder(Response[model.Page[model.RecordedEvent]]))

EXECUTION_EVENTS = Operation(documents.EXECUTION_EVENTS, Decoder(Response[model.RecordedEvent]))
EVENTS_STREAM = Operation(documents.EVENTS_STREAM, Decoder(Response[model.EventMessage]))
APPROVALS_STREAM = Operation(documents.APPROVALS_STREAM, Decoder(Response[model.ApprovalMessage]))
ASSIGNMENTS = Operation(documents.ASSIGNMENTS, Decoder(Response[model.Assignment]))

EXECUTION_AFTER = Operation(documents.EXECUTION_AFTER, Decoder(Response[model.ExecutionChange]))
MOVES = Operation(documents.MOVES, Decoder(Response[model.Move]))
