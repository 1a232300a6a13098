"""The parts of a card: who asks until when, who has to agree, and what was decided."""

from datetime import timedelta

from api.console.formats import Formats
from api.console.views.approval_page import Shown
from api.console.views.approvals import name_of
from api.console.views.decisions import Decided
from api.console.views.fields import Line
from api.slack.rich_text import (
    Block,
    Element,
    bullets,
    moment,
    one_line,
    rich_text,
    section,
    shortened,
    words,
)
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import Approval, ResolutionCause
from domain.execution.state import Execution

MAX_DECISIONS = 10
MAX_COMMENT = 300

_THEN = {
    ExpiryAction.REJECT.value: "then it expires",
    ExpiryAction.GRANT.value: "then it is approved by itself",
    ExpiryAction.ESCALATE.value: "then more people are asked",
}
_DID = {
    "GRANTED": "approved",
    "REJECTED": "rejected",
    "CHANGES_REQUESTED": "asked for changes",
}
_MINE = {
    "GRANTED": "You approved this.",
    "REJECTED": "You rejected this.",
    "CHANGES_REQUESTED": "You asked for changes.",
}


def _for_whom(execution: Execution) -> str:
    if execution.on_behalf_of is None:
        return ""
    return f", on behalf of {one_line(execution.on_behalf_of)}"


def summary(execution: Execution, approval: Approval, page: Shown) -> Block:
    """Return what a person wants to know first: what became of it, or until when and who asks."""
    elements: list[Element] = []
    if approval.pending:
        elements.append(words(one_line(name_of(execution.initiator)), bold=True))
        elements.append(words(f" asks for approval{_for_whom(execution)}"))
        if page.deadline is not None:
            elements += [words("\nDecide by "), moment(page.deadline)]
            elements += [words(f", {_THEN[page.on_expiry]}")]
        if page.mine is not None:
            elements += [words(f"\n{_MINE[page.mine.verdict]}", bold=True)]
    else:
        elements.append(words(page.word, bold=True))
        if approval.resolution is ResolutionCause.DECISIONS:
            elements.append(words(f" by {one_line(name_of(approval.counting_decisions[-1].by))}"))
        if page.resolved_at is not None:
            elements += [words(", "), moment(page.resolved_at)]
        if page.by_expiry:
            elements.append(words(", at the deadline without a decision"))
        asked_by = one_line(name_of(execution.initiator))
        elements.append(words(f"\nAsked by {asked_by}{_for_whom(execution)}"))
    since = words(f"\nWorkflow {one_line(execution.workflow)}, since ")
    return rich_text(section([*elements, since, moment(page.requested_at)]))


def policy(approval: Approval, page: Shown) -> Block:
    """Return who has to agree, and how far that is."""
    parts: list[Element] = []
    for stage in page.stages:
        name = "Who has to agree" if len(page.stages) == 1 else f"Stage {stage.number}"
        state = {"done": " (complete)", "later": " (later)"}.get(stage.state, "")
        parts.append(section([words(name, bold=True), words(state or ":")]))
        counts = [r.count for r in approval.policy.requirements if r.stage == stage.number]
        parts.append(
            bullets(
                [words(f"{one_line(one.text)}{_progress(count, one.missing)}")]
                for one, count in zip(stage.wanted, counts, strict=True)
            )
        )
    rules = [
        f"{page.rejections} people have to refuse to reject it." if page.rejections > 1 else "",
        "Whoever asked may decide too." if page.allow_initiator else "",
        "Each decision needs a comment." if page.comment_required else "",
        "Who approves may change the payload first." if page.amending.allowed else "",
        "Who approves answers questions." if page.has_form else "",
        f"It was escalated to {one_line(page.escalated_to)}." if page.escalated_to else "",
    ]
    said = " ".join(filter(None, rules))
    return rich_text(*parts, *([section([words(said)])] if said else []))


def _progress(count: int, missing: int) -> str:
    if count > 1:
        return f": {count - missing} of {count} agreed"
    return "" if missing else ": agreed"


def decisions(page: Shown) -> Block | None:
    """Return the last decisions, None if there is none."""
    made = [one for stage in page.stages for one in stage.decisions]
    made.sort(key=lambda one: one.version)
    if not made:
        return None
    left = len(made) - MAX_DECISIONS
    items = [_decision(one) for one in made[-MAX_DECISIONS:]]
    if left > 0:
        items.insert(0, [words(f"and {left} before", italic=True)])
    changed = page.amending.last
    if changed is not None:
        items.append([words(one_line(changed.text)), words(" "), moment(changed.at)])
    return rich_text(section([words("Decisions", bold=True), words(":")]), bullets(items))


def _decision(one: Decided) -> list[Element]:
    said = f"{one_line(one.by)} {_DID[one.verdict]} "
    elements = [words(said), moment(one.at)]
    if one.taken_back:
        elements.append(words(", and took it back", italic=True))
    elif one.outdated:
        elements.append(words(", before the payload was changed", italic=True))
    if one.comment:
        comment = shortened(one_line(one.comment), MAX_COMMENT)
        elements.append(words(f"\n\u201c{comment}\u201d"))
    return elements


def further_terms(lines: list[Line]) -> list[str]:
    """Return the terms of the document that have no place of their own, one a text."""
    return [
        f"{one_line(line.label)}: {', '.join(one_line(cell.text) for cell in line.cells)}"
        for line in lines
    ]


def due(approval: Approval, formats: Formats) -> str:
    """Return how near the deadline is, for a notification; "" if there is none."""
    if not approval.pending or approval.current_deadline is None:
        return ""
    if approval.current_deadline - formats.now <= timedelta(0):
        return "overdue"
    return f"due {formats.relative(approval.current_deadline)}"
