"""What a policy would have made of what was decided in the past."""

from datetime import UTC, datetime, timedelta

import strawberry

from api.context import Context
from api.errors import bad_request, forbidden
from api.schema.enums import ApprovalStatus
from api.schema.inputs.approvals import ApprovalPolicyInput
from api.schema.limits import MAX_SIMULATED
from api.schema.nodes import Approval
from domain.approvals import policy as approval_policy
from domain.approvals import state as approval_state
from domain.approvals.policy import check_policy
from domain.approvals.simulation import simulate
from domain.execution.state import Execution
from domain.values import Role
from projections.approvals.query import ApprovalFilter, ApprovalOrder

MAX_SPAN = timedelta(days=366)
DEFAULT_SPAN = timedelta(days=30)
_PAGE = 500
_RESOLVED = tuple(
    status
    for status in approval_state.ApprovalStatus
    if status is not approval_state.ApprovalStatus.PENDING
)


@strawberry.type(description="An approval that would have ended otherwise with the policy.")
class SimulatedApproval:
    approval: Approval
    status_then: ApprovalStatus
    status_with: ApprovalStatus = strawberry.field(
        description="PENDING if the recorded decisions would not have been enough."
    )
    reason: str


@strawberry.type(description="What a policy would have made of the past.")
class PolicySimulation:
    examined: int = strawberry.field(description="The number of approvals that were decided again.")
    different: int = strawberry.field(description="How many of them would have ended otherwise.")
    changes: list[SimulatedApproval] = strawberry.field(
        description="The first 500 of these, the latest request first."
    )


async def simulate_policy(
    context: Context,
    workflow: str,
    key: str | None,
    policy: ApprovalPolicyInput,
    since: datetime | None,
    until: datetime | None,
) -> PolicySimulation:
    """Decide the resolved approvals of a workflow again.

    Raises FORBIDDEN without the role AUDITOR or ADMIN, and BAD_REQUEST for a policy that breaks a
    rule or a span of more than 366 days.
    """
    if {Role.AUDITOR, Role.ADMIN}.isdisjoint(context.principal.roles):
        raise forbidden("simulating a policy needs the role AUDITOR or ADMIN")
    wanted = policy.value_of()
    if problem := check_policy(wanted):
        raise bad_request(problem)
    end = until or datetime.now(UTC)
    begin = since or end - DEFAULT_SPAN
    if not timedelta(0) <= end - begin <= MAX_SPAN:
        raise bad_request(f"since and until must be at most {MAX_SPAN.days} days apart, in order")
    result = PolicySimulation(examined=0, different=0, changes=[])
    of_workflow = ApprovalFilter(workflows=(workflow,), statuses=_RESOLVED)
    after: str | None = None
    while True:
        page = await context.services.approvals.page(
            context.principal,
            of_workflow,
            ApprovalOrder.REQUESTED_DESC,
            first=_PAGE,
            after=after,
        )
        for row in page.rows:
            approval = row.approval
            if begin <= approval.requested_at <= end and key in {None, approval.key}:
                _examine(result, row.execution, approval, wanted)
        over = page.rows and page.rows[-1].approval.requested_at < begin
        if not page.has_next or over:
            return result
        after = page.cursors[-1]


def _examine(
    result: PolicySimulation,
    execution: Execution,
    approval: approval_state.Approval,
    policy: approval_policy.Policy,
) -> None:
    result.examined += 1
    status, reason = simulate(execution, approval, policy)
    if status is approval.status:
        return
    result.different += 1
    if len(result.changes) < MAX_SIMULATED:
        result.changes.append(
            SimulatedApproval(
                approval=Approval.of(execution, approval),
                status_then=approval.status,
                status_with=status,
                reason=reason,
            )
        )
