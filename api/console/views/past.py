"""An execution at one version as a plain value, so that two versions can be compared."""

from typing import Any

import msgspec

from domain.approvals.state import Approval
from domain.execution.state import Execution


def value_of(execution: Execution) -> dict[str, Any]:
    """Return what people ask about a past state, without what is empty."""
    value: dict[str, Any] = {
        "state": execution.state.value,
        "worker": execution.worker,
        "fence": execution.fence,
        "parked": execution.parked,
        "error": execution.error,
        "result": execution.result,
        "steps": {
            step.key: _filled(
                {
                    "name": step.name,
                    "attempts": step.attempts,
                    "completedAt": step.completed_at,
                    "error": step.error,
                    "result": step.result,
                }
            )
            for step in execution.steps_in_order()
        },
        "approvals": {
            f"{approval.key} ({approval.round})": _approval(approval)
            for approval in execution.approvals_in_order()
        },
        "timers": {
            timer.key: _filled({"firesAt": timer.fires_at, "pending": timer.pending})
            for timer in sorted(execution.timers.values(), key=lambda one: one.set_version)
        },
        "signals": {
            signal.key: {"name": signal.name, "payload": signal.payload}
            for signal in sorted(execution.signals.values(), key=lambda one: one.version)
        },
        "children": {
            child.key: _filled({"id": child.id, "outcome": child.outcome})
            for child in sorted(execution.children.values(), key=lambda one: one.started_version)
        },
    }
    plain: dict[str, Any] = msgspec.to_builtins(_filled(value))
    return plain


def _approval(approval: Approval) -> dict[str, Any]:
    return _filled(
        {
            "title": approval.title,
            "status": approval.status.value,
            "payload": approval.payload,
            "digest": approval.digest,
            "decisions": [
                _filled(
                    {
                        "by": decision.by.id,
                        "verdict": decision.verdict.value,
                        "comment": decision.comment,
                        "takenBack": True if not decision.stands else None,
                    }
                )
                for decision in approval.decisions
            ],
            "deadline": approval.current_deadline,
            "redeemedAt": approval.redeemed_at,
        }
    )


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if one is not None and one not in ([], {}, "")}
