"""Placet: executions that stop for approval. The client, and an engine for workflows."""

from placet import errors
from placet._util.canonical_json import digest
from placet.approvals.decorator import requires_approval
from placet.approvals.gate import Gate
from placet.client.client import Client
from placet.engine import Clearance, Engine, Run
from placet.errors import (
    AlreadyRedeemed,
    DigestMismatch,
    Doubt,
    Expired,
    Nondeterministic,
    NotCleared,
    PlacetError,
    Refused,
    Rejected,
    RequestError,
    StepFailed,
    Withdrawn,
)
from placet.models.commands import ApprovalFilter, EventFilter, ExecutionFilter
from placet.models.enums import ApprovalStatus, ExecutionState
from placet.models.responses import Accepted, Approval, ApprovalRecord, Execution
from placet.policy import Policy, require

__version__ = "0.1.0"

__all__ = [
    "Accepted",
    "AlreadyRedeemed",
    "Approval",
    "ApprovalFilter",
    "ApprovalRecord",
    "ApprovalStatus",
    "Clearance",
    "Client",
    "DigestMismatch",
    "Doubt",
    "Engine",
    "EventFilter",
    "Execution",
    "ExecutionFilter",
    "ExecutionState",
    "Expired",
    "Gate",
    "Nondeterministic",
    "NotCleared",
    "PlacetError",
    "Policy",
    "Refused",
    "Rejected",
    "RequestError",
    "Run",
    "StepFailed",
    "Withdrawn",
    "digest",
    "errors",
    "require",
    "requires_approval",
]
