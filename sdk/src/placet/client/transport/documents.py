"""Every GraphQL document that the client sends.

One operation each, its root field under the alias ``result``. The texts never vary, so the service
parses and validates each of them once.
"""

_ACTOR = "{ id name }"
_REQUIREMENT = "{ count groups users }"
_PAGE_INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"

_EXECUTION_BODY = f"""
  workflow workflowVersion queue state version fence worker input result error
  labels {{ name value }} initiator {_ACTOR} onBehalfOf startedAt updatedAt endedAt
  asleep parked wokenVersion parent {{ executionId key round }}
"""
_EXECUTION = f"""
fragment ExecutionFields on Execution {{ id {_EXECUTION_BODY} }}
"""
_APPROVAL_BODY = f"""
  key round title description payload payloadDigest document digest form erased
  policy {{
    requirements {_REQUIREMENT} rejections allowInitiator onExpiry escalateTo
  }}
  status resolution
  decisions {{ verdict by {_ACTOR} onBehalfOf {_ACTOR} at comment answers digest rule }}
  outstanding {_REQUIREMENT} requestedAt deadline resolvedAt redeemedAt
"""
# What a workflow is given is the same for every worker, or a replay could take another way.
_APPROVAL_RECORD = f"""
fragment ApprovalRecordFields on Approval {{
  id executionId workflow initiator {_ACTOR} {_APPROVAL_BODY}
}}
"""
_APPROVAL = f"""{_APPROVAL_RECORD}
fragment ApprovalFields on Approval {{
  ...ApprovalRecordFields viewerMayDecide {{ allowed reasons }}
}}
"""
_STEP = """
fragment StepFields on Step { key name attempts result error completedAt }
"""
_EVENT = f"""
fragment EventFields on RecordedEvent {{
  position executionId version type topic data actor {_ACTOR} at commandId correlationId causationId
  previousHash hash storedBytes
}}
"""
_PAST = """
fragment PastFields on RecordedEvent { position version type at data }
"""
# The head only: a worker's commands are many, and it knows the execution's input already.
_OUTCOME = f"""
fragment OutcomeFields on CommandResult {{
  __typename
  ... on Accepted {{ position repeated }}
  ... on Refused {{ code message }}
  execution {{ id workflow state version fence updatedAt wokenVersion }}
  approval {{ ...ApprovalFields }}
}}
{_APPROVAL}"""

_NOTED = """
fragment NotedFields on CommandResult {
  __typename
  ... on Accepted { position at repeated approval { id } }
  ... on Refused { code message }
  execution { id workflow state version fence updatedAt wokenVersion }
}
"""


def _command(name: str, input_type: str) -> str:
    return f"""mutation Command($input: {input_type}!) {{
  result: {name}(input: $input) {{ ...OutcomeFields }}
}}
{_OUTCOME}"""


def _batch(name: str, argument: str, input_type: str) -> str:
    return f"""mutation Batch($inputs: [{input_type}!]!) {{
  result: {name}({argument}: $inputs) {{ ...OutcomeFields }}
}}
{_OUTCOME}"""


START_EXECUTION = _command("startExecution", "StartExecutionInput")
RECORD_STEP = _command("recordStep", "StepInput")
REQUEST_APPROVAL = _command("requestApproval", "RequestApprovalInput")
WITHDRAW_APPROVAL = _command("withdrawApproval", "WithdrawalInput")
REDEEM_APPROVAL = _command("redeemApproval", "RedemptionInput")
COMPLETE_EXECUTION = _command("completeExecution", "CompletionInput")
FAIL_EXECUTION = _command("failExecution", "FailureInput")
GRANT_APPROVAL = _command("grantApproval", "DecisionInput")
REJECT_APPROVAL = _command("rejectApproval", "RejectionInput")
CANCEL_EXECUTION = _command("cancelExecution", "CancellationInput")
RETRY_EXECUTION = _command("retryExecution", "RetryInput")
SET_TIMER = _command("setTimer", "TimerInput")
CANCEL_TIMER = _command("cancelTimer", "TimerCancellationInput")
SEND_SIGNAL = _command("sendSignal", "SignalInput")
START_CHILD = _command("startChild", "ChildInput")
PARK_EXECUTION = _command("parkExecution", "ParkingInput")
UNPARK_EXECUTION = _command("unparkExecution", "UnparkingInput")
GRANT_APPROVALS = _batch("grantApprovals", "inputs", "DecisionInput")
REJECT_APPROVALS = _batch("rejectApprovals", "inputs", "RejectionInput")
SUBMIT = _batch("submit", "commands", "CommandInput")
# An engine knows what it asked for, and has thousands of answers.
NOTE = f"""mutation Note($inputs: [CommandInput!]!) {{
  result: submit(commands: $inputs) {{ ...NotedFields }}
}}
{_NOTED}"""

CLAIM_EXECUTIONS = f"""mutation Claim($input: ClaimInput!) {{
  result: claimExecutions(input: $input) {{
    claims {{ execution {{ ...ExecutionFields }} fence leaseExpiresAt }} lost
  }}
}}
{_EXECUTION}"""
HEARTBEAT = """mutation Heartbeat($worker: String!, $lease: Duration) {
  result: heartbeat(worker: $worker, lease: $lease) { worker leaseExpiresAt executions lost }
}
"""
RELEASE_EXECUTIONS = """mutation Release(
  $worker: String!, $executionIds: [ID!], $releases: [ReleaseInput!], $others: Boolean
) {
  result: releaseExecutions(
    worker: $worker, executionIds: $executionIds, releases: $releases, others: $others
  ) { released }
}
"""

VIEWER = """query Viewer {
  result: viewer { id name roles groups queues }
}
"""
EXECUTION = f"""query Execution($id: ID!) {{
  result: execution(id: $id) {{ ...ExecutionFields }}
}}
{_EXECUTION}"""
HISTORY = f"""query History($id: ID!, $stepsAfter: String, $approvalsAfter: String) {{
  result: execution(id: $id) {{
    ...ExecutionFields
    steps(first: 500, after: $stepsAfter) {{
      edges {{ cursor node {{ ...StepFields }} }} {_PAGE_INFO}
    }}
    approvals(first: 500, after: $approvalsAfter) {{
      edges {{ cursor node {{ ...ApprovalFields }} }} {_PAGE_INFO} position
    }}
  }}
}}
{_EXECUTION}{_STEP}{_APPROVAL}"""
TRANSCRIPT = f"""query Transcript($id: ID!, $eventsAfter: String, $approvalsAfter: String) {{
  result: execution(id: $id) {{
    ...ExecutionFields
    events(first: 500, after: $eventsAfter) {{
      edges {{ cursor node {{ ...PastFields }} }} {_PAGE_INFO}
    }}
    approvals(first: 500, after: $approvalsAfter) {{
      edges {{ cursor node {{ ...ApprovalRecordFields }} }} {_PAGE_INFO}
    }}
  }}
}}
{_EXECUTION}{_PAST}{_APPROVAL_RECORD}"""
EXECUTION_AT = f"""query ExecutionAt($id: ID!, $version: Int, $asOf: DateTime, $after: String) {{
  result: executionAt(id: $id, version: $version, asOf: $asOf) {{
    executionId asOf {_EXECUTION_BODY}
    steps(first: 500, after: $after) {{
      edges {{ cursor node {{ ...StepFields }} }} {_PAGE_INFO}
    }}
    approvals {{ {_APPROVAL_BODY} }}
  }}
}}
{_STEP}"""
APPROVAL = f"""query Approval($id: ID!) {{
  result: approval(id: $id) {{ ...ApprovalFields }}
}}
{_APPROVAL}"""
EXECUTIONS = f"""query Executions(
  $filter: ExecutionFilter, $orderBy: ExecutionOrder, $first: Int, $after: String,
  $atLeast: String, $count: Boolean!
) {{
  result: executions(
    filter: $filter, orderBy: $orderBy, first: $first, after: $after, atLeast: $atLeast
  ) {{
    edges {{ cursor node {{ ...ExecutionFields }} }} {_PAGE_INFO}
    totalCount @include(if: $count) position
  }}
}}
{_EXECUTION}"""
APPROVALS = f"""query Approvals(
  $filter: ApprovalFilter, $orderBy: ApprovalOrder, $first: Int, $after: String,
  $atLeast: String, $count: Boolean!
) {{
  result: approvals(
    filter: $filter, orderBy: $orderBy, first: $first, after: $after, atLeast: $atLeast
  ) {{
    edges {{ cursor node {{ ...ApprovalFields }} }} {_PAGE_INFO}
    totalCount @include(if: $count) position
  }}
}}
{_APPROVAL}"""
EVENTS = f"""query Events($filter: EventFilter, $first: Int, $after: String) {{
  result: events(filter: $filter, first: $first, after: $after) {{
    edges {{ cursor node {{ ...EventFields }} }} {_PAGE_INFO}
  }}
}}
{_EVENT}"""

EXECUTION_EVENTS = f"""subscription ExecutionEvents($id: ID!, $after: Int) {{
  result: executionEvents(executionId: $id, afterVersion: $after) {{ ...EventFields }}
}}
{_EVENT}"""
EVENTS_STREAM = f"""subscription Events($filter: EventFilter, $after: String) {{
  result: events(filter: $filter, after: $after) {{ cursor event {{ ...EventFields }} }}
}}
{_EVENT}"""
APPROVALS_STREAM = f"""subscription Approvals($filter: ApprovalFilter, $after: String) {{
  result: approvals(filter: $filter, after: $after) {{
    cursor removedId approval {{ ...ApprovalFields }}
  }}
}}
{_APPROVAL}"""
ASSIGNMENTS = f"""subscription Assignments(
  $worker: String!, $queues: [String!], $capacity: Int, $lease: Duration, $grace: Duration
) {{
  result: assignments(
    worker: $worker, queues: $queues, capacity: $capacity, lease: $lease, grace: $grace
  ) {{
    claim {{ execution {{ ...ExecutionFields }} fence leaseExpiresAt }}
    resolved {{ ...ApprovalRecordFields }}
    happened {{ executionId ...PastFields }}
    version position
    ended
    lost
  }}
}}
{_EXECUTION}{_APPROVAL_RECORD}{_PAST}"""

EXECUTION_AFTER = f"""query ExecutionAfter($id: ID!, $version: Int!, $wait: Duration) {{
  result: executionAfter(id: $id, version: $version, wait: $wait) {{
    changed version execution {{ ...ExecutionFields }}
  }}
}}
{_EXECUTION}"""
MOVES = """subscription Moves($id: ID!, $after: Int) {
  result: executionEvents(executionId: $id, afterVersion: $after) { version type }
}
"""
