"""The selections that several operations share. The classes in ``placet.models`` read them."""

ACTOR = "{ id name }"
REQUIREMENT = "{ count groups users stage }"
PAGE_INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"

EXECUTION_BODY = f"""
  workflow workflowVersion queue state version fence worker input result error
  labels {{ name value }} initiator {ACTOR} onBehalfOf startedAt updatedAt endedAt
  cancelRequestedAt
  asleep parked wokenVersion parent {{ executionId key round }}
"""
EXECUTION = f"""
fragment ExecutionFields on Execution {{ id {EXECUTION_BODY} }}
"""
APPROVAL_BODY = f"""
  key round title description payload payloadDigest document digest form erased
  policy {{
    requirements {REQUIREMENT} rejections allowInitiator onExpiry escalateTo
    within calendar remindBefore validFor amendable commentRequired
    acrValues maxAuthAge
  }}
  status resolution
  decisions {{
    verdict by {ACTOR} onBehalfOf {ACTOR} at comment answers digest rule explanation
    counts retractedAt standingGrantId
  }}
  amendments {{ by {ACTOR} at patch payloadDigest }}
  outstanding {REQUIREMENT} requestedAt deadline resolvedAt redeemedAt
"""
# Workflows get this one. It is the same for every worker, or a replay could take another path.
APPROVAL_RECORD = f"""
fragment ApprovalRecordFields on Approval {{
  id executionId workflow initiator {ACTOR} {APPROVAL_BODY}
}}
"""
APPROVAL = f"""{APPROVAL_RECORD}
fragment ApprovalFields on Approval {{
  ...ApprovalRecordFields viewerMayDecide {{ allowed reasons }}
  validUntil escalatedAt commentCount claimedBy {ACTOR}
  delegations {{ from {ACTOR} to {ACTOR} at comment takenBackAt }}
}}
"""
STEP = """
fragment StepFields on Step { key name attempts result error completedAt }
"""
EVENT = f"""
fragment EventFields on RecordedEvent {{
  position executionId version type topic data actor {ACTOR} at commandId correlationId causationId
  previousHash hash storedBytes
}}
"""
RECORDED_DECISION = f"""
fragment RecordedDecisionFields on RecordedDecision {{
  approvalId executionId version workflow key round title verdict by {ACTOR} onBehalfOf {ACTOR}
  groups rule stage comment askedAt decidedAt took counts retractedAt standingGrantId
  status revokedAt
}}
"""
PAST = """
fragment PastFields on RecordedEvent { position version type at data }
"""
PAST_WITH_TRACE = """
fragment PastFields on RecordedEvent { position version type at data traceparent }
"""
# Only the head of the execution: workers send many commands and know its input already.
OUTCOME = f"""
fragment OutcomeFields on CommandResult {{
  __typename
  ... on Accepted {{ position repeated }}
  ... on Refused {{ code message }}
  execution {{ id workflow state version fence updatedAt wokenVersion }}
  approval {{ ...ApprovalFields }}
}}
{APPROVAL}"""
# An engine knows what it asked for, and gets thousands of answers.
NOTED = """
fragment NotedFields on CommandResult {
  __typename
  ... on Accepted { position at repeated approval { id } }
  ... on Refused { code message }
  execution { id workflow state version fence updatedAt wokenVersion }
}
"""
