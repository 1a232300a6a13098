"""A call that an agent wants to make: what people are shown of it, and who is asked."""

from collections.abc import Callable
from typing import Any

import msgspec

from placet.models.enums import ApprovalStatus
from placet.models.responses import ApprovalRecord
from placet.policy import Policy

_UNSAID = {
    ApprovalStatus.EXPIRED: "nobody decided in time",
    ApprovalStatus.WITHDRAWN: "the request was withdrawn",
}


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An action with its arguments, as JSON: the payload of its approval."""

    action: str
    arguments: Any


Policies = Policy | Callable[[ToolCall], Policy]
"""Who decides: the same people for every call, or depending on the call."""


def policy_for(call: ToolCall, policies: Policies) -> Policy:
    """Give the policy for a call."""
    return policies if isinstance(policies, Policy) else policies(call)


def title_of(call: ToolCall) -> str:
    """Give the line that a list of approvals shows."""
    return f"Let an agent call {call.action}"


def comment_of(approval: ApprovalRecord) -> str | None:
    """Give what the last person who said something said."""
    return next((each.comment for each in reversed(approval.decisions) if each.comment), None)


def refusal_of(approval: ApprovalRecord) -> str | None:
    """Say to the agent why it may not, None if nobody gave a reason."""
    return _UNSAID.get(approval.status) or comment_of(approval)
