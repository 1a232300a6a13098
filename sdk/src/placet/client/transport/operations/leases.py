"""What a worker sends to get and keep its executions."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec.json import Decoder

from placet._util.durations import iso_duration
from placet.client.transport.envelope import Operation, Response, Variables, given
from placet.client.transport.operations import fragments
from placet.models.commands import ClaimRequest, KnownWorkflow, Release
from placet.models.responses import ResponseModel
from placet.models.worker_responses import Assignment, Heartbeat, Poll


class Released(ResponseModel, frozen=True):
    """The answer to a release: how many executions were given back."""

    released: int


def _claim(request: ClaimRequest) -> Variables:
    return {"input": request}


_CLAIM = "execution { ...ExecutionFields } fence leaseExpiresAt"
_TRANSCRIPT = """
    transcript { version events { ...PastFields } approvals { ...ApprovalRecordFields } }
"""


def _claiming(claim: str, used: str) -> Operation[[ClaimRequest], Poll]:
    return Operation(
        f"""mutation Claim($input: ClaimInput!) {{
  result: claimExecutions(input: $input) {{ claims {{ {claim} }} lost parked }}
}}
{fragments.EXECUTION}{used}""",
        Decoder(Response[Poll]),
        _claim,
    )


CLAIM_EXECUTIONS = _claiming(_CLAIM, "")
CLAIM_WITH_TRANSCRIPTS = _claiming(_CLAIM + _TRANSCRIPT, fragments.APPROVAL_RECORD + fragments.PAST)
CLAIM_WITH_TRACES = _claiming(
    _CLAIM + _TRANSCRIPT, fragments.APPROVAL_RECORD + fragments.PAST_WITH_TRACE
)


def _heartbeat(worker: str, lease: timedelta) -> Variables:
    return {"worker": worker, "lease": iso_duration(lease)}


HEARTBEAT = Operation(
    """mutation Heartbeat($worker: String!, $lease: Duration) {
  result: heartbeat(worker: $worker, lease: $lease) { worker leaseExpiresAt executions lost }
}
""",
    Decoder(Response[Heartbeat]),
    _heartbeat,
)


def _release(
    worker: str,
    execution_ids: Sequence[str] | None,
    releases: Sequence[Release] | None,
    *,
    others: bool,
) -> Variables:
    return given(
        worker=worker, executionIds=execution_ids, releases=releases, others=others or None
    )


RELEASE_EXECUTIONS = Operation(
    """mutation Release(
  $worker: String!, $executionIds: [ID!], $releases: [ReleaseInput!], $others: Boolean
) {
  result: releaseExecutions(
    worker: $worker, executionIds: $executionIds, releases: $releases, others: $others
  ) { released }
}
""",
    Decoder(Response[Released]),
    _release,
)


def _assignments(
    worker: str,
    queues: Sequence[str],
    capacity: int,
    lease: timedelta,
    grace: timedelta | None,
    workflows: Sequence[KnownWorkflow] | None,
) -> Variables:
    return {
        "worker": worker,
        "queues": list(queues),
        "capacity": capacity,
        "lease": iso_duration(lease),
        "grace": None if grace is None else iso_duration(grace),
        "workflows": None if workflows is None else list(workflows),
    }


def _assigning(
    claim: str, argument: str = "", past: str = fragments.PAST, more: str = ""
) -> Operation[
    [str, Sequence[str], int, timedelta, timedelta | None, Sequence[KnownWorkflow] | None],
    Assignment,
]:
    return Operation(
        f"""subscription Assignments(
  $worker: String!, $queues: [String!], $capacity: Int, $lease: Duration, $grace: Duration,
  $workflows: [WorkflowInput!]
) {{
  result: assignments(
    worker: $worker, queues: $queues, capacity: $capacity, lease: $lease, grace: $grace,
    workflows: $workflows {argument}
  ) {{
    claim {{ {claim} }}
    resolved {{ ...ApprovalRecordFields }}
    happened {{ executionId ...PastFields }}
    version position {more}
    ended
    lost
    parked
  }}
}}
{fragments.EXECUTION}{fragments.APPROVAL_RECORD}{past}""",
        Decoder(Response[Assignment]),
        _assignments,
    )


ASSIGNMENTS = _assigning(_CLAIM)
ASSIGNMENTS_WITH_TRANSCRIPTS = _assigning(_CLAIM + _TRANSCRIPT, "transcripts: true")
ASSIGNMENTS_WITH_TRACES = _assigning(
    _CLAIM + _TRANSCRIPT, "transcripts: true", fragments.PAST_WITH_TRACE, "traceparent"
)
"""With transcripts too. Servers of older versions do not know it."""
