"""Amendment: who grants an approval changes its payload, where the policy allows it.

Grants before it were of another document, so they no longer count. Refusals stand. What the fold
takes from the event is the payload itself; the patch beside it tells people what changed.
"""

from datetime import datetime
from typing import Any

import jsonpatch
import jsonpointer
import msgspec
from msgspec.structs import replace

from domain.approvals.commands import (
    Decide,
)
from domain.approvals.document import document_digest, document_of
from domain.approvals.events import (
    AmendmentContent,
    ApprovalAmended,
)
from domain.approvals.state import Amendment, Approval, Decision, Verdict
from domain.execution.state import Execution
from domain.serialization.canonical_json import same
from domain.values import Actor

MAX_COMPARED = 32 * 1024
"""How many bytes of JSON, before and after together, are compared item by item. Comparing long
lists takes time that grows with the square of their length, and other commands wait meanwhile."""


def problem_with(approval: Approval, command: Decide) -> str | None:
    """Return why the command may not amend the payload, or None if it may or does not."""
    if command.amended_payload is None:
        return None
    if command.verdict is not Verdict.GRANTED:
        return "amendedPayload comes with a grant only: leave it out"
    if not approval.policy.amendable:
        return (
            f"amendedPayload is not allowed: the policy of approval {approval.id} is not amendable"
        )
    if command.amendment_digest == approval.payload_digest:
        return "amendedPayload changes nothing: leave it out to grant the payload as it is"
    return None


def amend(state: Execution, approval: Approval, command: Decide) -> ApprovalAmended:
    """Return the event for a command in which :func:`problem_with` finds no problem."""
    assert command.amendment_digest is not None
    document = document_of(state, replace(approval, payload=command.amended_payload))
    return ApprovalAmended(
        ordinal=approval.ordinal,
        seen_digest=approval.digest,
        digest=document_digest(document, command.canonical_amendment),
        payload_digest=command.amendment_digest,
        content=AmendmentContent(
            payload=command.amended_payload,
            patch=json_patch(approval.payload, command.amended_payload),
        ),
    )


def amended(
    approval: Approval, event: ApprovalAmended, by: Actor, at: datetime, version: int
) -> Approval:
    """Return the approval after the event. Decisions that the amendment leaves are as they were."""
    amendment = Amendment(
        by=by,
        at=at,
        version=version,
        seen_digest=event.seen_digest,
        seen_payload_digest=approval.payload_digest,
        digest=event.digest,
        payload_digest=event.payload_digest,
        patch=event.content.patch,
    )
    return replace(
        approval,
        payload=event.content.payload,
        payload_digest=event.payload_digest,
        digest=event.digest,
        amendments=(*approval.amendments, amendment),
        decisions=superseded(approval.decisions, version),
    )


def superseded(decisions: tuple[Decision, ...], version: int) -> tuple[Decision, ...]:
    """Return the decisions after an amendment at this version: no grant before it counts."""
    return tuple(
        replace(decision, superseded_version=version)
        if decision.verdict is Verdict.GRANTED and decision.counts
        else decision
        for decision in decisions
    )


def as_asked(approval: Approval, decision: Decision) -> Approval:
    """Return the approval with the decisions that counted when this one was made.

    Who amends decides in the stage that was asked before the amendment.
    """
    if not decision.amendment_version:
        return approval
    decisions = tuple(
        replace(each, superseded_version=0)
        if each.superseded_version == decision.amendment_version
        else each
        for each in approval.decisions
    )
    return replace(approval, decisions=decisions)


def json_patch(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """Return the JSON Patch (RFC 6902) that makes ``before`` into ``after``.

    ``path`` is the JSON Pointer of both. What is larger than ``MAX_COMPARED`` is compared member by
    member, and replaced as a whole if it is no object.
    """
    if len(msgspec.json.encode((before, after))) <= MAX_COMPARED:
        return [_below(path, each) for each in jsonpatch.make_patch(before, after).patch]
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [{"op": "replace", "path": path, "value": after}]
    changes: list[dict[str, Any]] = []
    for name in {**before, **after}:
        member = f"{path}/{jsonpointer.escape(name)}"
        if name not in after:
            changes.append({"op": "remove", "path": member})
        elif name not in before:
            changes.append({"op": "add", "path": member, "value": after[name]})
        elif not same(before[name], after[name]):
            changes += json_patch(before[name], after[name], member)
    return changes


def _below(path: str, change: dict[str, Any]) -> dict[str, Any]:
    """Return a change of the value at ``path`` as a change of the whole."""
    return {
        name: path + value if name in {"path", "from"} else value for name, value in change.items()
    }
