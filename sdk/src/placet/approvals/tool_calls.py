"""A call that an agent wants to make: what people are shown, and who decides."""

from collections.abc import Callable
from typing import Any

import msgspec

from placet.errors import ChangesRequested
from placet.models.enums import ApprovalStatus
from placet.models.responses import ApprovalRecord
from placet.policy import Policy

_UNSAID = {
    ApprovalStatus.EXPIRED: "nobody decided in time",
    ApprovalStatus.WITHDRAWN: "the request was withdrawn",
    ApprovalStatus.REVOKED: "the grant was taken back",
}


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An action with its arguments, as JSON: the payload of its approval."""

    action: str
    arguments: Any


Policies = Policy | Callable[[ToolCall], Policy]
"""Who decides: the same policy for every call, or one that depends on the call."""


def policy_for(call: ToolCall, policies: Policies) -> Policy:
    """Return the policy for a call."""
    return policies if isinstance(policies, Policy) else policies(call)


def title_of(call: ToolCall) -> str:
    """Return the title of the approval of a call."""
    return f"Let an agent call {call.action}"


def comment_of(approval: ApprovalRecord) -> str | None:
    """Return the last comment of the decisions."""
    return next((each.comment for each in reversed(approval.decisions) if each.comment), None)


def refusal_of(approval: ApprovalRecord) -> str | None:
    """Return why the agent may not make the call, None if nobody gave a reason."""
    if approval.status is ApprovalStatus.CHANGES_REQUESTED:
        wanted = "; ".join(ChangesRequested(approval).comments)
        return f"people want it changed, and can then be asked again: {wanted}"
    return _UNSAID.get(approval.status) or comment_of(approval)
