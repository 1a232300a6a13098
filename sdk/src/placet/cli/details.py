"""One approval or one execution: what a person needs first, and all of it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from placet._util.canonical_json import digest
from placet.cli.execution_waits import ExecutionWaits
from placet.cli.fields import fields, scalar
from placet.cli.lists import asked_by, missing, state_of
from placet.cli.terminal import ago, when, who
from placet.models.enums import ApprovalStatus, ExpiryAction
from placet.models.responses import (
    Amendment,
    Approval,
    Child,
    Comment,
    Decision,
    Delegation,
    History,
    PreviousRound,
)

_WIDTH = 12
# What the lines above the payload say of the document, in words.
_TOLD = {"title", "description", "payload", "executionId", "workflow", "initiator", "onBehalfOf"}
_TOLD |= {"key", "round", "deadline", "policy"}


def approval_lines(
    approval: Approval,
    comments: Iterable[Comment] = (),
    previous: PreviousRound | None = None,
) -> Iterator[str]:
    """Yield everything that is put before an approver, the question first.

    A decision is bound to the document, so what it says comes from the document itself.
    """
    document: Mapping[str, Any] | None = approval.document
    yield (document or {}).get("title") or "(erased)"
    yield from _pairs(
        (
            "Asked by",
            f"{asked_by(approval)}, {_since(approval.requested_at)}",
        ),
        ("Status", approval.status),
        ("Needs", _still_missing(approval)),
        ("Stage", _stage(approval)),
        ("Deadline", _deadline(approval)),
        ("Valid", approval.valid_until and f"until {when(approval.valid_until)}"),
        ("Claimed", approval.claimed_by and f"by {approval.claimed_by.id}"),
        ("Viewer", None if approval.viewer_may_decide.allowed else _reasons(approval)),
    )
    if document is None:
        yield "The document was erased."
    else:
        yield from _document(document)
    if previous is not None:
        yield from _since_round(previous)
    yield from _said(approval, comments)
    if approval.delegations:
        yield ""
        yield from delegation_lines(approval.delegations)
    yield ""
    yield from _pairs(("ID", approval.id), ("Execution", approval.execution_id))


def raw_approval_lines(approval: Approval) -> Iterator[str]:
    """Yield the document as it is digested, and its digest."""
    yield from _pairs(("Approval", approval.id), ("Status", approval.status))
    if approval.document is None:
        yield from _pairs(("Document", "erased"), ("Digest", approval.digest))
        return
    yield "Document:"
    # Escaped by JSON, a text of its has no line of its own that could pass for one of ours.
    yield from json.dumps(approval.document, indent=2, ensure_ascii=False).split("\n")
    yield from _pairs(("Digest", digest(approval.document)))


def _document(document: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    if document["description"] is not None:
        yield from fields(document["description"])
        yield ""
    yield from fields(document["payload"], 1)
    yield ""
    yield from _pairs(
        ("Workflow", document["workflow"]),
        ("Key", f"{document['key']}, round {document['round']}"),
    )
    yield "Policy"
    yield from fields(_policy(document["policy"]), 1)
    # Whatever a newer service puts before people is shown too.
    others = {k: v for k, v in document.items() if k not in _TOLD and v is not None}
    if others:
        yield from fields(others)


def _since_round(previous: PreviousRound) -> Iterator[str]:
    """Yield what became of the round before, and what is asked otherwise now."""
    before = previous.approval
    yield ""
    yield f"Round {before.round} was {before.status}; changed since:"
    # The round always differs.
    changes = [change for change in previous.document_diff if change["path"] != "/round"]
    yield from (f"  {line}" for line in _changes(changes))
    for line, text in ((decision_line(each), _told(each)) for each in before.decisions):
        yield f"  {line}"
        if text:
            yield from (f"    | {part}" for part in text.split("\n"))


def _policy(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy with its requirements in words, without what is empty or false."""
    asked = [
        f"{each['count']} of {', '.join((*each['groups'], *each['users']))}"
        + (f", in stage {each['stage']}" if "stage" in each else "")
        for each in policy["requirements"]
    ]
    rest = {name: value for name, value in policy.items() if value not in ([], False)}
    return {**rest, "requirements": asked}


def delegation_lines(delegations: Iterable[Delegation]) -> Iterator[str]:
    """Yield who handed the decision to whom, the oldest first."""
    for each in delegations:
        people = f"{who(each.from_.name, each.from_.id)} to {who(each.to.name, each.to.id)}"
        taken = " (taken back)" if each.taken_back_at is not None else ""
        yield f"handed over by {people}, {when(each.at)}{taken}"
        if each.comment:
            yield from (f"  | {part}" for part in each.comment.split("\n"))


def _said(approval: Approval, comments: Iterable[Comment]) -> Iterator[str]:
    said: list[tuple[datetime, str, str | None]] = [
        (each.at, amendment_line(each), "\n".join(_changes(each.patch or ())))
        for each in approval.amendments
    ]
    said += [(each.at, decision_line(each), _told(each)) for each in approval.decisions]
    said += [
        (c.at, f"comment by {who(c.by.name, c.by.id)}, {when(c.at)}", c.text or "(erased)")
        for c in comments
    ]
    if said:
        yield ""
    for _, line, text in sorted(said, key=lambda each: each[0]):
        yield line
        if text:
            yield from (f"  | {part}" for part in text.split("\n"))


def _told(decision: Decision) -> str | None:
    """Return what a person wrote and answered, a line for each."""
    answers = None if decision.answers is None else f"answers: {compact(decision.answers)}"
    return "\n".join(part for part in (decision.comment, answers) if part) or None


def decision_line(decision: Decision) -> str:
    """Return who decided what, when, and whether it still counts."""
    behalf = decision.on_behalf_of
    place = "" if behalf is None else f" in the place of {who(behalf.name, behalf.id)}"
    taken = ""
    if not decision.counts:
        amended = decision.retracted_at is None
        taken = " (no longer counts: the payload was amended since)" if amended else " (taken back)"
    if decision.standing_grant_id is not None:
        place += f" in advance, by standing grant {decision.standing_grant_id}"
    person = who(decision.by.name, decision.by.id)
    return f"{decision.verdict} by {person}{place}, {when(decision.at)}{taken}"


def amendment_line(amendment: Amendment) -> str:
    """Return who changed the payload, and when."""
    return f"amended by {who(amendment.by.name, amendment.by.id)}, {when(amendment.at)}"


def _changes(patch: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the changes of a JSON Patch, one a line."""
    lines = []
    for change in patch:
        source = f" {change['from']} to" if "from" in change else ""
        value = f" {compact(change['value'])}" if "value" in change else ""
        lines.append(f"{change['op']}{source} {change['path'] or 'all of it'}{value}")
    return lines


def execution_lines(
    history: History, waits: ExecutionWaits, children: Iterable[Child], *, raw: bool = False
) -> Iterator[str]:
    """Yield an execution: what it is, what it waits for, and what has happened."""
    execution = history.execution
    yield execution.workflow
    started = who(execution.initiator.name, execution.initiator.id)
    behalf = f" for {execution.on_behalf_of}" if execution.on_behalf_of else ""
    yield from _pairs(
        ("State", state_of(execution)),
        (
            "Started by",
            f"{started}{behalf}, {_since(execution.started_at)}",
        ),
        ("Parked", execution.parked),
        ("Ended", execution.ended_at and when(execution.ended_at)),
        ("Queue", execution.queue),
        ("Labels", ", ".join(f"{each.name}={each.value}" for each in execution.labels) or None),
    )
    for action in waits.actions:
        reason = f": {action.reason}" if action.reason else ""
        yield f"{action.done} by {who(action.by.name, action.by.id)}, {when(action.at)}{reason}"
    for name, value in (("Input", execution.input), ("Result", execution.result)):
        yield from _value(name, value)
    if execution.error is not None:
        yield from _value("Error", execution.error)
    if not execution.state.final:
        yield "Waits for:"
        yield from (f"  {line}" for line in _waited_for(history, waits))
    yield from _happened(history, waits, children)
    yield ""
    yield from _pairs(("ID", execution.id))
    if raw:
        yield from _pairs(
            ("Version", execution.version),
            ("Fence", execution.fence),
            ("Worker", execution.worker),
            ("Workflow", execution.workflow_version),
            ("Woken", execution.woken_version),
        )


def _happened(history: History, waits: ExecutionWaits, children: Iterable[Child]) -> Iterator[str]:
    for approval in history.approvals:
        yield f"  approval {approval.id}: {approval.title} - {approval.status}"
        for decision in approval.decisions:
            yield f"    {decision_line(decision)}"
            if decision.comment:
                yield from (f"    | {part}" for part in decision.comment.split("\n"))
    for step in history.steps:
        tries = "" if step.attempts == 1 else f" ({step.attempts} attempts)"
        said = compact(step.result) if step.completed_at is not None else f"failed: {step.error}"
        yield f"  step {step.key}{tries}: {said}"
    for child in children:
        ended = child.outcome or "runs"
        yield f"  child {child.key}: {child.execution_id}, {child.workflow} - {ended}"
    for signal in waits.signals:
        yield f"  signal {signal.name}: {compact(signal.payload)}"


def _waited_for(history: History, waits: ExecutionWaits) -> Iterator[str]:
    execution = history.execution
    pending = [a for a in history.approvals if a.status is ApprovalStatus.PENDING]
    for approval in pending:
        until = "" if approval.deadline is None else f", until {when(approval.deadline)}"
        yield f"approval {approval.id}: {missing(approval.outstanding)}{until}"
    for key, fires_at in waits.timers.items():
        yield f"timer {key}: {when(fires_at)}"
    for key, child in waits.children.items():
        yield f"child {key}: {child.execution_id}, {child.workflow}"
    others = bool(pending or waits.timers or waits.children)
    if execution.parked is not None:
        yield f"a person to let it go on: placet unpark {execution.id}"
    elif execution.asleep:
        # Only the worker knows which signals its workflow waits for.
        perhaps = "perhaps also " if others else ""
        yield f"{perhaps}a signal, of a name that the workflow alone knows"
    elif not others and execution.fence == 0:
        yield f"an engine on the queue {execution.queue} to begin with it"
    elif not others:
        yield f"its worker to go on: {execution.worker}, or another when that is gone"


def _value(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield name
        yield from fields(value, 1)
    elif value is not None:
        yield from fields({name: value})


def _since(moment: datetime) -> str:
    return f"{when(moment)} ({ago(moment)} ago)"


def _pairs(*pairs: tuple[str, Any]) -> Iterator[str]:
    for name, value in pairs:
        if value is not None:
            yield f"{name:<{_WIDTH}}{value}"


def _reasons(approval: Approval) -> str | None:
    if approval.status is not ApprovalStatus.PENDING:
        return None
    return f"may not decide: {'; '.join(approval.viewer_may_decide.reasons)}"


def _still_missing(approval: Approval) -> str | None:
    return missing(approval.outstanding) if approval.status is ApprovalStatus.PENDING else None


def _stage(approval: Approval) -> str | None:
    """Say which stage is asked now, if there are several."""
    last = max(each.stage for each in approval.policy.requirements)
    if last == 1 or approval.status is not ApprovalStatus.PENDING:
        return None
    return f"{min((each.stage for each in approval.outstanding), default=last)} of {last}"


def _deadline(approval: Approval) -> str | None:
    if approval.deadline is None:
        return None
    then = {
        ExpiryAction.REJECT: "it expires",
        ExpiryAction.GRANT: "it is granted",
        ExpiryAction.ESCALATE: f"{', '.join(approval.policy.escalate_to)} may decide too",
    }[approval.policy.on_expiry]
    if approval.escalated_at is not None:
        then = f"it expires; escalated at {when(approval.escalated_at)}"
    return f"{when(approval.deadline)}, then {then}"


def compact(value: Any) -> str:
    """Return JSON on one line; a text without quotes where that is clear."""
    return (
        scalar(value)
        if not isinstance(value, dict | list)
        else json.dumps(value, ensure_ascii=False)
    )
