"""The document that an approver sees, and the digest that ties a decision to it.

The document contains its execution, key and round, so a decision can't be reused for another one.
Digests are stored in events: a change to the document would make them wrong.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from domain.approvals.forms import canonical_form
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.serialization.canonical_json import canonical, canonical_object, digest

_LARGE = frozenset({"form", "payload"})


def policy_json(policy: Policy) -> dict[str, Any]:
    """Return a policy as JSON.

    Fields that were added later are written only where they are not the default, so that the
    digests of earlier documents stay right.
    """
    written: dict[str, Any] = {
        "requirements": [_requirement_json(requirement) for requirement in policy.requirements],
        "rejections": policy.rejections,
        "allowInitiator": policy.allow_initiator,
        "onExpiry": policy.on_expiry.value,
        "escalateTo": list(policy.escalate_to),
    }
    if policy.within is not None:
        written["within"] = duration_json(policy.within)
    if policy.calendar is not None:
        written["calendar"] = policy.calendar
    if policy.remind_before:
        written["remindBefore"] = [duration_json(span) for span in policy.remind_before]
    if policy.valid_for is not None:
        written["validFor"] = duration_json(policy.valid_for)
    if policy.amendable:
        written["amendable"] = True
    if policy.comment_required:
        written["commentRequired"] = True
    if policy.acr_values:
        written["acrValues"] = list(policy.acr_values)
    if policy.max_auth_age is not None:
        written["maxAuthAge"] = duration_json(policy.max_auth_age)
    return written


def _requirement_json(requirement: Requirement) -> dict[str, Any]:
    written: dict[str, Any] = {
        "count": requirement.count,
        "groups": list(requirement.groups),
        "users": list(requirement.users),
    }
    if requirement.stage != 1:
        written["stage"] = requirement.stage
    return written


def instant_json(instant: datetime) -> str:
    """Format a UTC time as RFC 3339 with microseconds."""
    # Several times as quick as strftime.
    return instant.isoformat(timespec="microseconds")[:26] + "Z"


def duration_json(duration: timedelta) -> str:
    """Format a duration by ISO 8601, in days and seconds."""
    # msgspec writes zero as P0D.
    return str(msgspec.to_builtins(duration)) if duration else "PT0S"


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
    members = {name: canonical(value) for name, value in document.items() if name not in _LARGE}
    form = document["form"]
    members["form"] = b"null" if form is None else canonical_form(form)
    return digest(canonical_object({**members, "payload": canonical_payload}))
