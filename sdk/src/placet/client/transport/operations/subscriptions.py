"""What can be followed. The stream of a worker's assignments is among the leases."""

from msgspec.json import Decoder

from placet.client.transport.envelope import Operation, Response, Variables, given
from placet.client.transport.operations import fragments
from placet.models.commands import ApprovalFilter, EventFilter
from placet.models.responses import ApprovalMessage, EventMessage, Move, RecordedEvent


def _of_execution(execution_id: str, after_version: int) -> Variables:
    return {"id": execution_id, "after": after_version}


def _after_event(execution_id: str, after_version: int, after_hash: str | None) -> Variables:
    return {"id": execution_id, **given(after=after_version, hash=after_hash)}


EXECUTION_EVENTS = Operation(
    f"""subscription ExecutionEvents($id: ID!, $after: Int, $hash: String) {{
  result: executionEvents(executionId: $id, afterVersion: $after, afterHash: $hash) {{
    ...EventFields
  }}
}}
{fragments.EVENT}""",
    Decoder(Response[RecordedEvent]),
    _after_event,
)
MOVES = Operation(
    """subscription Moves($id: ID!, $after: Int) {
  result: executionEvents(executionId: $id, afterVersion: $after) { version type }
}
""",
    Decoder(Response[Move]),
    _of_execution,
)


def _events(where: EventFilter | None, cursor: str | None) -> Variables:
    return given(filter=where, after=cursor)


EVENTS_STREAM = Operation(
    f"""subscription Events($filter: EventFilter, $after: String) {{
  result: events(filter: $filter, after: $after) {{ cursor event {{ ...EventFields }} }}
}}
{fragments.EVENT}""",
    Decoder(Response[EventMessage]),
    _events,
)


def _approvals(where: ApprovalFilter | None, cursor: str | None) -> Variables:
    return given(filter=where, after=cursor)


APPROVALS_STREAM = Operation(
    f"""subscription Approvals($filter: ApprovalFilter, $after: String) {{
  result: approvals(filter: $filter, after: $after) {{
    cursor removedId approval {{ ...ApprovalFields }}
  }}
}}
{fragments.APPROVAL}""",
    Decoder(Response[ApprovalMessage]),
    _approvals,
)
