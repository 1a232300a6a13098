"""GraphQL enums, made from the enumerations of the domain and of the read models."""

import strawberry

from domain.approvals.policy import ExpiryAction
from domain.approvals.state import ApprovalStatus, ResolutionCause, Verdict
from domain.refusals import RefusalCode
from domain.values import ExecutionState, Role
from projections.approvals.query import ApprovalOrder
from projections.executions.query import ExecutionOrder

for enumeration in (
    ApprovalOrder,
    ApprovalStatus,
    ExecutionOrder,
    ExecutionState,
    ExpiryAction,
    RefusalCode,
    ResolutionCause,
    Role,
    Verdict,
):
    strawberry.enum(enumeration, description=(enumeration.__doc__ or "").split("\n\n")[0])

__all__ = [
    "ApprovalOrder",
    "ApprovalStatus",
    "ExecutionOrder",
    "ExecutionState",
    "ExpiryAction",
    "RefusalCode",
    "ResolutionCause",
    "Role",
    "Verdict",
]
