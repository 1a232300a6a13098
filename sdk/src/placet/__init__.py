"""Placet: executions that stop for approval. The client, and an engine for workflows."""

from placet import errors
from placet._util.canonical_json import digest
from placet.approvals.decorator import requires_approval
from placet.approvals.gate import Gate
from placet.client.client import Client
from placet.engine import Asked, Clearance, Engine, Run, RunInfo
from placet.errors import (
    AlreadyRedeemed,
    ChildFailed,
    DigestMismatch,
    Doubt,
    Expired,
    FinalError,
    Nondeterministic,
    NotCleared,
    PlacetError,
    RecordedError,
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
    "Asked",
    "ChildFailed",
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
    "FinalError",
    "Gate",
    "Nondeterministic",
    "NotCleared",
    "PlacetError",
    "Policy",
    "RecordedError",
    "Refused",
    "Rejected",
    "RequestError",
    "Run",
    "RunInfo",
    "StepFailed",
    "Withdrawn",
    "digest",
    "errors",
    "require",
    "requires_approval",
]
