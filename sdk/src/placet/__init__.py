"""Placet: executions that stop for approval. The client, and an engine for workflows."""

from placet import errors
from placet._util.canonical_json import digest
from placet.approvals.decorator import requires_approval
from placet.approvals.gate import Gate
from placet.client.client import Client
from placet.client.started import Started
from placet.engine import Asked, ChildHandle, Clearance, Engine, Run, RunInfo
from placet.errors import (
    AlreadyRedeemed,
    ChangesRequested,
    ChildFailed,
    DigestMismatch,
    Doubt,
    ExecutionFailed,
    Expired,
    FinalError,
    Lapsed,
    Nondeterministic,
    NotCleared,
    PlacetError,
    RecordedError,
    Refused,
    Rejected,
    RequestError,
    Revoked,
    StepFailed,
    StepUpRequired,
    Withdrawn,
)
from placet.models.commands import (
    ApprovalFilter,
    DecisionFilter,
    EventFilter,
    ExecutionFilter,
)
from placet.models.enums import ApprovalStatus, ExecutionState, StandingGrantStatus
from placet.models.responses import Accepted, Approval, ApprovalRecord, Execution
from placet.models.standing_grants import StandingGrant
from placet.models.substitutes import Substitute
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
    "ChangesRequested",
    "ChildFailed",
    "ChildHandle",
    "Clearance",
    "Client",
    "DecisionFilter",
    "DigestMismatch",
    "Doubt",
    "Engine",
    "EventFilter",
    "Execution",
    "ExecutionFailed",
    "ExecutionFilter",
    "ExecutionState",
    "Expired",
    "FinalError",
    "Gate",
    "Lapsed",
    "Nondeterministic",
    "NotCleared",
    "PlacetError",
    "Policy",
    "RecordedError",
    "Refused",
    "Rejected",
    "RequestError",
    "Revoked",
    "Run",
    "RunInfo",
    "StandingGrant",
    "StandingGrantStatus",
    "Started",
    "StepFailed",
    "StepUpRequired",
    "Substitute",
    "Withdrawn",
    "digest",
    "errors",
    "require",
    "requires_approval",
]
