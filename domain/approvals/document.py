"""The document that an approver sees, and the digest that binds a decision to it.

It names its execution, key and round, so no decision can be shown for another.
"""

from datetime import datetime
from typing import Any

from domain.approvals.policy import Policy
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.serialization.canonical_json import canonical, canonical_object, digest


def policy_json(policy: Policy) -> dict[str, Any]:
    """Render a policy with every default written out."""
    return {
        "requirements": [
            {
                "count": requirement.count,
                "groups": list(requirement.groups),
                "users": list(requirement.users),
            }
            for requirement in policy.requirements
        ],
        "rejections": policy.rejections,
        "allowInitiator": policy.allow_initiator,
        "onExpiry": policy.on_expiry.value,
        "escalateTo": list(policy.escalate_to),
    }


def instant_json(instant: datetime) -> str:
    """Render a moment in UTC as RFC 3339 with microseconds."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def document_of(execution: Execution, approval: Approval) -> dict[str, Any]:
    """Give what was put before the approvers, as a JSON object."""
    return {
        "executionId": str(execution.id),
        "workflow": execution.workflow,
        "initiator": {"id": execution.initiator.id, "name": execution.initiator.name},
        "onBehalfOf": execution.on_behalf_of,
        "key": approval.key,
        "round": approval.round,
        "title": approval.title,
        "description": approval.description,
        "payload": approval.payload,
        "form": approval.form,
        "policy": policy_json(approval.policy),
        "deadline": None if approval.deadline is None else instant_json(approval.deadline),
    }


def document_digest(document: dict[str, Any], canonical_payload: bytes) -> str:
    """Digest a document whose payload's canonical bytes are known already.

    A payload can be large and this runs while the log is locked, so the payload is not made
    canonical a second time.
    """
    members = {name: canonical(value) for name, value in document.items() if name != "payload"}
    return digest(canonical_object({**members, "payload": canonical_payload}))
