"""The document that an approver sees, and the digest that ties a decision to it.

The document contains its execution, key and round, so a decision can't be reused for another one.
Digests are stored in events: a change to the document would make them wrong.
"""

from datetime import datetime
from typing import Any

from domain.approvals.policy import Policy
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.serialization.canonical_json import canonical, canonical_object, digest


def policy_json(policy: Policy) -> dict[str, Any]:
    """Return a policy as JSON, with every default written out."""
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
    """Format a UTC time as RFC 3339 with microseconds."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def document_of(execution: Execution, approval: Approval) -> dict[str, Any]:
    """Return what the approvers were shown, as a JSON object."""
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
    """Compute a document's digest from the canonical bytes of its payload.

    A payload can be large and other commands wait for this one, so its canonical bytes, which the
    command has made already, are not made again.
    """
    members = {name: canonical(value) for name, value in document.items() if name != "payload"}
    return digest(canonical_object({**members, "payload": canonical_payload}))
