"""Finds the approvals that a visit is about, as far as the viewer may see them."""

from api.console.visit import Visit, not_found
from api.schema.authorized_lookups import visible_approval
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.state import Execution
from projections.approvals.query import ApprovalFilter, ApprovalOrder
from projections.querying.keyset_pages import BehindError

LOOKED_BACK = 50
RESOLVED = tuple(status for status in ApprovalStatus if status is not ApprovalStatus.PENDING)


async def found_approval(visit: Visit) -> tuple[Execution, Approval]:
    """Return the approval of the address. Raises PageError."""
    found = await visible_approval(visit.context, visit.request.path_params["id"])
    if found is None:
        raise not_found(visit)
    return found


async def earlier(
    visit: Visit, execution: Execution, approval: Approval
) -> tuple[Execution, Approval] | None:
    """Return what to compare an approval with, None if there is nothing.

    It is the round before, or else the last one with the same key that people have resolved, of
    another execution of this workflow, among the last fifty that the viewer may see.
    """
    rounds = [
        one
        for one in execution.approvals.values()
        if one.key == approval.key and one.round == approval.round - 1
    ]
    if rounds:
        return execution, rounds[0]
    try:
        page = await visit.services.approvals.page(
            visit.principal,
            ApprovalFilter(workflows=(execution.workflow,), statuses=RESOLVED),
            ApprovalOrder.REQUESTED_DESC,
            first=LOOKED_BACK,
        )
    except BehindError:
        # People can decide while a read model is rebuilt: the approval itself is from the log.
        return None
    for row in page.rows:
        if (
            row.approval.key == approval.key
            and row.execution.id != execution.id
            and row.approval.requested_at < approval.requested_at
        ):
            return row.execution, row.approval
    return None
