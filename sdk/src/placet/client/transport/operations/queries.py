"""What is read: from the log, and page by page from the read models."""

from datetime import datetime, timedelta
from typing import Any

from msgspec.json import Decoder

from placet._util.durations import iso_duration
from placet.client.transport.envelope import Operation, Response, Variables, given
from placet.client.transport.operations import fragments
from placet.models.commands import (
    ApprovalFilter,
    DecisionFilter,
    EventFilter,
    ExecutionFilter,
)
from placet.models.enums import ApprovalOrder, ExecutionOrder
from placet.models.responses import (
    Approval,
    ApprovalRecord,
    Child,
    Comment,
    Execution,
    ExecutionChange,
    ExecutionSnapshot,
    Page,
    PolicySimulation,
    Principal,
    RecordedDecision,
    RecordedEvent,
    ResponseModel,
    Step,
)
from placet.models.rules import MAX_PAGE
from placet.models.worker_responses import Past
from placet.policy import Policy


class HistoryPage(Execution, kw_only=True, frozen=True):
    """An execution with one page of its steps and of its approvals."""

    steps: Page[Step]
    approvals: Page[Approval]


class ParentOfChildren(ResponseModel, kw_only=True, frozen=True):
    """An execution, of which only the children are read."""

    children: list[Child]


class Commented(ResponseModel, kw_only=True, frozen=True):
    """An approval, of which only one page of the comments is read."""

    comments: Page[Comment]


class RoundBefore(ResponseModel, frozen=True):
    """The round before an approval, None if there is none that the caller may see."""

    previous_round: Approval | None = None
    document_diff: list[dict[str, Any]] | None = None


class TranscriptPage(Execution, kw_only=True, frozen=True):
    """An execution with one page of its events and of its approvals."""

    events: Page[Past]
    approvals: Page[ApprovalRecord]


def _none() -> Variables:
    return {}


def _id(id_: str) -> Variables:
    return {"id": id_}


VIEWER = Operation(
    """query Viewer {
  result: viewer { id name roles groups queues }
}
""",
    Decoder(Response[Principal]),
    _none,
)
EXECUTION = Operation(
    f"""query Execution($id: ID!) {{
  result: execution(id: $id) {{ ...ExecutionFields }}
}}
{fragments.EXECUTION}""",
    Decoder(Response[Execution]),
    _id,
)
CHILDREN = Operation(
    """query Children($id: ID!) {
  result: execution(id: $id) {
    children { key round executionId workflow outcome onParentEnd }
  }
}
""",
    Decoder(Response[ParentOfChildren]),
    _id,
)


def _comments(approval_id: str, after: str | None = None) -> Variables:
    return given(id=approval_id, after=after)


COMMENTS = Operation(
    f"""query Comments($id: ID!, $after: String) {{
  result: approval(id: $id) {{
    comments(first: {MAX_PAGE}, after: $after) {{
      edges {{ cursor node {{ id by {fragments.ACTOR} at text }} }} {fragments.PAGE_INFO}
    }}
  }}
}}
""",
    Decoder(Response[Commented]),
    _comments,
)
APPROVAL = Operation(
    f"""query Approval($id: ID!) {{
  result: approval(id: $id) {{ ...ApprovalFields }}
}}
{fragments.APPROVAL}""",
    Decoder(Response[Approval]),
    _id,
)

PREVIOUS_ROUND = Operation(
    f"""query PreviousRound($id: ID!) {{
  result: approval(id: $id) {{ documentDiff previousRound {{ ...ApprovalFields }} }}
}}
{fragments.APPROVAL}""",
    Decoder(Response[RoundBefore]),
    _id,
)


def _execution_after(execution_id: str, version: int, wait: timedelta) -> Variables:
    return {"id": execution_id, "version": version, "wait": iso_duration(wait)}


EXECUTION_AFTER = Operation(
    f"""query ExecutionAfter($id: ID!, $version: Int!, $wait: Duration) {{
  result: executionAfter(id: $id, version: $version, wait: $wait) {{
    changed version execution {{ ...ExecutionFields }}
  }}
}}
{fragments.EXECUTION}""",
    Decoder(Response[ExecutionChange]),
    _execution_after,
)


def _history(
    execution_id: str, steps_after: str | None = None, approvals_after: str | None = None
) -> Variables:
    return given(id=execution_id, stepsAfter=steps_after, approvalsAfter=approvals_after)


HISTORY = Operation(
    f"""query History($id: ID!, $stepsAfter: String, $approvalsAfter: String) {{
  result: execution(id: $id) {{
    ...ExecutionFields
    steps(first: {MAX_PAGE}, after: $stepsAfter) {{
      edges {{ cursor node {{ ...StepFields }} }} {fragments.PAGE_INFO}
    }}
    approvals(first: {MAX_PAGE}, after: $approvalsAfter) {{
      edges {{ cursor node {{ ...ApprovalFields }} }} {fragments.PAGE_INFO} position
    }}
  }}
}}
{fragments.EXECUTION}{fragments.STEP}{fragments.APPROVAL}""",
    Decoder(Response[HistoryPage]),
    _history,
)


def _transcript(
    execution_id: str, events_after: str | None, approvals_after: str | None
) -> Variables:
    return given(id=execution_id, eventsAfter=events_after, approvalsAfter=approvals_after)


def _transcripts(past: str) -> Operation[[str, str | None, str | None], TranscriptPage]:
    return Operation(
        f"""query Transcript($id: ID!, $eventsAfter: String, $approvalsAfter: String) {{
  result: execution(id: $id) {{
    ...ExecutionFields
    events(first: {MAX_PAGE}, after: $eventsAfter) {{
      edges {{ cursor node {{ ...PastFields }} }} {fragments.PAGE_INFO}
    }}
    approvals(first: {MAX_PAGE}, after: $approvalsAfter) {{
      edges {{ cursor node {{ ...ApprovalRecordFields }} }} {fragments.PAGE_INFO}
    }}
  }}
}}
{fragments.EXECUTION}{past}{fragments.APPROVAL_RECORD}""",
        Decoder(Response[TranscriptPage]),
        _transcript,
    )


TRANSCRIPT = _transcripts(fragments.PAST)
TRANSCRIPT_WITH_TRACES = _transcripts(fragments.PAST_WITH_TRACE)
"""Servers of older versions do not know it."""


def _execution_at(
    execution_id: str, version: int | None, as_of: datetime | None, steps_after: str | None
) -> Variables:
    return given(id=execution_id, version=version, asOf=as_of, after=steps_after)


EXECUTION_AT = Operation(
    f"""query ExecutionAt($id: ID!, $version: Int, $asOf: DateTime, $after: String) {{
  result: executionAt(id: $id, version: $version, asOf: $asOf) {{
    executionId asOf {fragments.EXECUTION_BODY}
    steps(first: {MAX_PAGE}, after: $after) {{
      edges {{ cursor node {{ ...StepFields }} }} {fragments.PAGE_INFO}
    }}
    approvals {{ {fragments.APPROVAL_BODY} }}
  }}
}}
{fragments.STEP}""",
    Decoder(Response[ExecutionSnapshot]),
    _execution_at,
)


def _page(
    where: ExecutionFilter | ApprovalFilter | None,
    order: ExecutionOrder | ApprovalOrder,
    *,
    first: int,
    after: str | None,
    at_least: str | None,
    count: bool,
) -> Variables:
    return given(
        filter=where, orderBy=order, first=first, after=after, atLeast=at_least, count=count
    )


EXECUTIONS = Operation(
    f"""query Executions(
  $filter: ExecutionFilter, $orderBy: ExecutionOrder, $first: Int, $after: String,
  $atLeast: String, $count: Boolean!
) {{
  result: executions(
    filter: $filter, orderBy: $orderBy, first: $first, after: $after, atLeast: $atLeast
  ) {{
    edges {{ cursor node {{ ...ExecutionFields }} }} {fragments.PAGE_INFO}
    totalCount @include(if: $count) position
  }}
}}
{fragments.EXECUTION}""",
    Decoder(Response[Page[Execution]]),
    _page,
)
APPROVALS = Operation(
    f"""query Approvals(
  $filter: ApprovalFilter, $orderBy: ApprovalOrder, $first: Int, $after: String,
  $atLeast: String, $count: Boolean!
) {{
  result: approvals(
    filter: $filter, orderBy: $orderBy, first: $first, after: $after, atLeast: $atLeast
  ) {{
    edges {{ cursor node {{ ...ApprovalFields }} }} {fragments.PAGE_INFO}
    totalCount @include(if: $count) position
  }}
}}
{fragments.APPROVAL}""",
    Decoder(Response[Page[Approval]]),
    _page,
)


def _past_approvals(
    as_of: datetime,
    where: ApprovalFilter | None,
    order: ApprovalOrder,
    *,
    first: int,
    after: str | None,
    at_least: str | None,
    count: bool,
) -> Variables:
    page = _page(where, order, first=first, after=after, at_least=at_least, count=count)
    return {**page, "asOf": as_of}


# Apart from the one above, which servers take too that do not know asOf yet.
PAST_APPROVALS = Operation(
    f"""query PastApprovals(
  $filter: ApprovalFilter, $orderBy: ApprovalOrder, $first: Int, $after: String,
  $atLeast: String, $asOf: DateTime!, $count: Boolean!
) {{
  result: approvals(
    filter: $filter, orderBy: $orderBy, first: $first, after: $after, atLeast: $atLeast, asOf: $asOf
  ) {{
    edges {{ cursor node {{ ...ApprovalFields }} }} {fragments.PAGE_INFO}
    totalCount @include(if: $count) position
  }}
}}
{fragments.APPROVAL}""",
    Decoder(Response[Page[Approval]]),
    _past_approvals,
)


def _decisions(
    where: DecisionFilter | None,
    *,
    first: int,
    after: str | None,
    at_least: str | None,
    count: bool,
) -> Variables:
    return given(filter=where, first=first, after=after, atLeast=at_least, count=count)


DECISIONS = Operation(
    f"""query Decisions(
  $filter: DecisionFilter, $first: Int, $after: String, $atLeast: String, $count: Boolean!
) {{
  result: decisions(filter: $filter, first: $first, after: $after, atLeast: $atLeast) {{
    edges {{ cursor node {{ ...RecordedDecisionFields }} }} {fragments.PAGE_INFO}
    totalCount @include(if: $count) position
  }}
}}
{fragments.RECORDED_DECISION}""",
    Decoder(Response[Page[RecordedDecision]]),
    _decisions,
)


def _simulation(
    workflow: str,
    policy: Policy,
    *,
    key: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Variables:
    return given(workflow=workflow, policy=policy, key=key, since=since, until=until)


SIMULATION = Operation(
    f"""query Simulation(
  $workflow: String!, $policy: ApprovalPolicyInput!, $key: String, $since: DateTime,
  $until: DateTime
) {{
  result: simulatePolicy(
    workflow: $workflow, policy: $policy, key: $key, since: $since, until: $until
  ) {{
    examined different
    changes {{ approval {{ ...ApprovalFields }} statusThen statusWith reason }}
  }}
}}
{fragments.APPROVAL}""",
    Decoder(Response[PolicySimulation]),
    _simulation,
)


def _events(where: EventFilter | None, first: int, after: str | None) -> Variables:
    return given(filter=where, first=first, after=after)


EVENTS = Operation(
    f"""query Events($filter: EventFilter, $first: Int, $after: String) {{
  result: events(filter: $filter, first: $first, after: $after) {{
    edges {{ cursor node {{ ...EventFields }} }} {fragments.PAGE_INFO}
  }}
}}
{fragments.EVENT}""",
    Decoder(Response[Page[RecordedEvent]]),
    _events,
)
