"""Prints executions, approvals, events and JSON."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from placet._util.canonical_json import digest
from placet.cli.execution_waits import ExecutionWaits
from placet.engine.failure_codec import readable
from placet.models.enums import ApprovalStatus
from placet.models.responses import (
    Accepted,
    Approval,
    Execution,
    History,
    RecordedEvent,
    Requirement,
)

out = Console(highlight=False)
if not out.is_terminal:
    # A file or a pipe has no width of its own.
    out = Console(highlight=False, width=200)


def print_json(value: Any) -> None:
    """Print one line of JSON, with the contract's names."""
    out.print(msgspec.json.encode(value).decode(), markup=False, soft_wrap=True, overflow="ignore")


def print_executions(executions: Iterable[Execution]) -> None:
    """Print a table of executions."""
    table = Table(_id_column(), "Workflow", "State", "Version", "Initiator", "Started", box=None)
    for each in executions:
        table.add_row(
            each.id,
            _cell(each.workflow),
            state_of(each),
            str(each.version),
            _cell(each.initiator.id),
            when(each.started_at),
        )
    out.print(table)


def state_of(execution: Execution) -> str:
    """Return the state, and whether the execution is parked or asleep."""
    if execution.parked is not None:
        return f"{execution.state}, parked"
    return f"{execution.state}, asleep" if execution.asleep else execution.state


def print_approvals(approvals: Iterable[Approval]) -> None:
    """Print a table of approvals."""
    table = Table(_id_column(), "Title", "Status", "Workflow", "Missing", "Requested", box=None)
    for each in approvals:
        table.add_row(
            each.id,
            _cell(each.title or "(erased)"),
            each.status,
            _cell(each.workflow),
            _cell(_still_missing(each)),
            when(each.requested_at),
        )
    out.print(table)


def print_history(history: History, waits: ExecutionWaits) -> None:
    """Print an execution with its steps, approvals and signals, and what it waits for."""
    execution = history.execution
    _pairs(
        Execution=execution.id,
        Workflow=execution.workflow,
        Queue=execution.queue,
        State=state_of(execution),
        Parked=execution.parked,
        Version=execution.version,
        Initiator=execution.initiator.id,
        Started=when(execution.started_at),
        Ended=None if execution.ended_at is None else when(execution.ended_at),
        Input=compact(execution.input),
        Result=None if execution.result is None else compact(execution.result),
        Error=execution.error,
    )
    for step in history.steps:
        said = compact(step.result)
        if step.completed_at is None:
            said = readable(step.error or "")
        _line(f"  step {step.key}: {said}")
    for approval in history.approvals:
        _line(f"  approval {approval.id}: {approval.title} - {approval.status}")
    for signal in waits.signals:
        _line(f"  signal {signal.name}: {compact(signal.payload)}")
    if not execution.state.final:
        _line("Waits for:")
        for line in _waited_for(history, waits):
            _line(f"  {line}")


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


def print_approval(approval: Approval) -> None:
    """Print the whole document that is put before an approver, and its digest.

    What is printed is what a decision is bound to, so it is the document itself and nothing else
    that the service says beside it.
    """
    _pairs(
        Approval=approval.id,
        Status=approval.status,
        Missing=_still_missing(approval) or None,
    )
    for decision in approval.decisions:
        said = f": {decision.comment}" if decision.comment else ""
        _line(f"  {decision.verdict} by {decision.by.id} at {when(decision.at)}{said}")
    if approval.document is None:
        _line("Document:   erased")
        _line(f"Digest:     {approval.digest}")
        return
    _line("Document:")
    # Escaped by JSON, a text of its has no line of its own that could pass for one of ours.
    for line in json.dumps(approval.document, indent=2, ensure_ascii=False).split("\n"):
        _line(line)
    _line(f"Digest:     {digest(approval.document)}")


def _still_missing(approval: Approval) -> str:
    return missing(approval.outstanding) if approval.status is ApprovalStatus.PENDING else ""


def print_sent(accepted: Accepted, execution: Execution | None, name: str) -> None:
    """Say what becomes of a signal.

    Which names a workflow waits for is known to its worker alone, so no more is claimed than is
    so either way.
    """
    if accepted.repeated:
        _line("repeated: it was sent under this key before")
    elif execution is not None and execution.parked is not None:
        _line(f"sent; it is kept, since the execution is parked: placet unpark {execution.id}")
    else:
        _line(f"sent; it is kept until the workflow waits for {name!r}, if it does not yet")


def print_event(event: RecordedEvent) -> None:
    """Print an event as one line."""
    _line(
        f"{event.position:>8}  {when(event.at)}  {event.execution_id} v{event.version}"
        f"  {event.type}  by {event.actor.id}"
    )


def missing(requirements: Iterable[Requirement]) -> str:
    """Say who still has to agree."""
    return "; ".join(
        f"{each.count} of {', '.join((*each.groups, *each.users))}" for each in requirements
    )


def when(instant: datetime) -> str:
    """Return a moment in the reader's time zone, to the second."""
    return instant.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def compact(value: Any) -> str:
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def _id_column() -> Column:
    """Return a column that is never cut short: an id is there to be copied."""
    return Column("ID", no_wrap=True, min_width=38)


def _pairs(**pairs: Any) -> None:
    for name, value in pairs.items():
        if value is not None:
            _line(f"{name + ':':<12}{value}")


def _cell(text: str) -> str:
    return escape(safe(text))


def _line(text: str) -> None:
    out.print(safe(text), markup=False, soft_wrap=True)


def safe(text: str) -> str:
    """Escape what a terminal would obey instead of show: control characters, and those unseen."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
