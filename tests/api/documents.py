"""Documents that the tests of resolvers share."""

RESULT = """
__typename
execution { id workflow queue state version fence input labels { name value } initiator { id } }
approval { id key status viewerMayDecide { allowed reasons } }
... on Accepted { position repeated }
... on Refused { code message }
"""
START = (
    f"mutation ($input: StartExecutionInput!) {{ startExecution(input: $input) {{ {RESULT} }} }}"
)
STEP = f"mutation ($input: StepInput!) {{ recordStep(input: $input) {{ {RESULT} }} }}"
REQUEST = (
    f"mutation ($input: RequestApprovalInput!) {{ requestApproval(input: $input) {{ {RESULT} }} }}"
)
GRANT = f"mutation ($input: DecisionInput!) {{ grantApproval(input: $input) {{ {RESULT} }} }}"
CANCEL = (
    f"mutation ($input: CancellationInput!) {{ cancelExecution(input: $input) {{ {RESULT} }} }}"
)
SUBMIT = f"mutation ($commands: [CommandInput!]!) {{ submit(commands: $commands) {{ {RESULT} }} }}"
GRANTS = (
    f"mutation ($inputs: [DecisionInput!]!) {{ grantApprovals(inputs: $inputs) {{ {RESULT} }} }}"
)
