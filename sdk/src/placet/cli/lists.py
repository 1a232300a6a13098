"""Lists of executions, approvals and decisions: what it is about first, in any width."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.markup import escape
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from placet.cli.lookup import short_ids
from placet.cli.terminal import ago, out, safe, span, when, who
from placet.models.enums import ApprovalStatus
from placet.models.responses import (
    Approval,
    Execution,
    Page,
    RecordedDecision,
    Requirement,
)
from placet.models.standing_grants import StandingGrant

NARROW = 90
"""Columns. Below, each row of a list has a line for its title and one for the rest."""
SEVERAL = 10_000
"""What the service counts at most."""


def print_executions(page: Page[Execution]) -> None:
    """Print executions. If any is parked, it also says why."""
    rows = list(page)
    short = short_ids([each.id for each in rows])
    cells = [
        (
            each.workflow,
            state_of(each),
            who(each.initiator.name, each.initiator.id)
            + (f" for {each.on_behalf_of}" if each.on_behalf_of else ""),
            f"{ago(each.started_at)} ago",
            short[each.id],
            each.parked and f"parked because {each.parked}",
        )
        for each in rows
    ]
    _print(["Workflow", "State", "Started by", "Started", "ID"], cells)
    _total(page, "execution")


def print_approvals(page: Page[Approval], *, only_pending: bool) -> None:
    """Print approvals, the title first, then who asks and since when."""
    rows = list(page)
    short = short_ids([each.id for each in rows])
    cells = []
    for each in rows:
        stands = f"needs {missing(each.outstanding)}" if only_pending else _stands(each)
        cells.append(
            (
                each.title or "(erased)",
                asked_by(each),
                f"{ago(each.requested_at)} ago",
                stands,
                short[each.id],
                _until(each),
            )
        )
    _print(["Title", "Asked by", "Asked", "Status", "ID"], cells)
    _total(page, "approval")


def print_decisions(page: Page[RecordedDecision]) -> None:
    """Print decisions, what they were about first, then who decided, when and how fast."""
    rows = list(page)
    short = short_ids([each.approval_id for each in rows])
    cells = [
        (
            each.title or "(erased)",
            _verdict(each),
            f"{who(each.by.name, each.by.id)}, {each.rule}"
            + ("" if each.on_behalf_of is None else f" in the place of {each.on_behalf_of.id}"),
            f"{when(each.decided_at)}, after {span(each.took.total_seconds())}",
            short[each.approval_id],
            each.comment,
        )
        for each in rows
    ]
    _print(["Title", "Verdict", "Decided by", "When", "ID"], cells)
    _total(page, "decision")


def print_standing_grants(page: Page[StandingGrant]) -> None:
    """Print standing grants, what they are for first, then whose they are and how often used."""
    cells = [
        (
            f"{each.workflow}, {'any key' if each.key is None else f'key {each.key}'}",
            who(each.by.name, each.by.id),
            f"until {when(each.expires_at)}",
            f"{each.status}, used {each.uses} of {each.max_uses} times",
            each.id,
            each.comment,
        )
        for each in page
    ]
    _print(["For", "In the name of", "Until", "Status", "ID"], cells)
    _total(page, "standing grant")


def _verdict(decision: RecordedDecision) -> str:
    taken = "" if decision.retracted_at is None else ", taken back"
    if not decision.counts and decision.retracted_at is None:
        # What was approved was changed since.
        taken = ", no longer counts"
    revoked = "" if decision.revoked_at is None else ", since revoked"
    return f"{decision.verdict}{taken}{revoked}"


def asked_by(approval: Approval) -> str:
    """Return who asks, and for whom."""
    asking = who(approval.initiator.name, approval.initiator.id)
    document = approval.document if isinstance(approval.document, dict) else {}
    behalf = document.get("onBehalfOf")
    return f"{asking} for {behalf}" if behalf else asking


def state_of(execution: Execution) -> str:
    """Return the state, and whether the execution is being cancelled, parked or asleep."""
    if execution.cancel_requested_at is not None and not execution.state.final:
        return f"{execution.state}, cleaning up"
    if execution.parked is not None:
        return f"{execution.state}, parked"
    return f"{execution.state}, asleep" if execution.asleep else execution.state


def missing(requirements: Iterable[Requirement]) -> str:
    """Say who still has to agree."""
    return "; ".join(
        f"{each.count} of {', '.join((*each.groups, *each.users))}" for each in requirements
    )


def _until(approval: Approval) -> str | None:
    if approval.deadline is None or approval.status is not ApprovalStatus.PENDING:
        return None
    return f"until {when(approval.deadline)}"


def _stands(approval: Approval) -> str:
    if approval.status is ApprovalStatus.PENDING:
        return f"{approval.status}, needs {missing(approval.outstanding)}"
    return approval.status


Cells = tuple[str, str, str, str, str, str | None]
"""The cells of a row, and what else there is to say of it."""


def _print(heads: Sequence[str], rows: Sequence[Cells]) -> None:
    if out.width < NARROW:
        for first, *rest, more in rows:
            out.print(Text(safe(first), style="bold"))
            said = "  ".join(safe(each) for each in (rest[-1], *rest[:-1]) if each)
            out.print(Padding(Text(said), (0, 0, 0, 2), expand=False))
            if more:
                out.print(Padding(Text(safe(more)), (0, 0, 0, 2), expand=False))
        return
    columns = [Column(head, overflow="fold") for head in heads[:-1]]
    table = Table(*columns, Column(heads[-1], no_wrap=True), box=None, pad_edge=False)
    for first, *rest, more in rows:
        shown = safe(first) + (f"\n  {safe(more)}" if more else "")
        table.add_row(escape(shown), *(escape(safe(each)) for each in rest))
    out.print(table)


def _total(page: Page[Any], what: str) -> None:
    shown = len(page)
    total = page.total_count
    whole = shown == total and page.next is None
    counted = f"more than {SEVERAL:,}" if total is None else f"{total:,}"
    said = (
        f"{shown:,} {what}{'' if shown == 1 else 's'}"
        if whole
        else f"{shown:,} of {counted} {what}s"
    )
    out.print(f"\n{said}", markup=False)
