"""Executions as pages show them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from api.console.views.approvals import name_of
from api.console.views.fields import Line, fields
from api.console.views.wording import STATES, TONES
from application.event_store.chained_events import LoggedEvent
from domain.execution.state import Execution

SHORT_ID = 8
END_OF_TIME = 1e11
"""Seconds: after every time that an execution can have."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An execution in a list. ``order`` sorts as the list does: the last one started is first."""

    id: str
    order: str
    short_id: str
    workflow: str
    queue: str
    started_by: str
    on_behalf_of: str | None
    started_at: datetime
    updated_at: datetime
    labels: list[str]
    word: str
    tone: str
    parked: bool
    error: str | None


class ErrorShown(msgspec.Struct, frozen=True):
    """An error: what it says, and the files and lines that it came through, the last first."""

    text: str
    places: list[str]


class _Raised(msgspec.Struct):
    type: str
    file: str | None = None
    line: int | None = None


class _Recorded(msgspec.Struct):
    chain: list[_Raised]


class StepShown(msgspec.Struct, frozen=True, kw_only=True):
    """A step. ``lasted`` is the time since the event before its result, None without a result."""

    key: str
    name: str
    attempts: int
    done: bool
    lasted: timedelta | None
    failures: list[tuple[int, ErrorShown]]
    result: list[Line]


def row_of(execution: Execution) -> Row:
    """Return an execution for a list."""
    return Row(
        id=str(execution.id),
        order=order_of(execution),
        short_id=str(execution.id)[:SHORT_ID],
        workflow=execution.workflow,
        queue=execution.queue,
        started_by=name_of(execution.initiator),
        on_behalf_of=execution.on_behalf_of,
        started_at=execution.started_at,
        updated_at=execution.updated_at,
        labels=[f"{label.name}: {label.value}" for label in execution.labels],
        word=STATES[execution.state.value],
        tone=TONES[execution.state.value],
        parked=execution.parked is not None,
        error=execution.error,
    )


def order_of(execution: Execution) -> str:
    """Return a text by which executions sort as in the list."""
    return f"{END_OF_TIME - execution.started_at.timestamp():020.6f}"


def steps_of(execution: Execution, events: Sequence[LoggedEvent]) -> list[StepShown]:
    """Return the steps in the order of their first attempts."""
    times = {event.recorded.version: event.recorded.at for event in events}
    shown = []
    for step in execution.steps_in_order():
        before = times.get(step.completed_version - 1)
        lasted = None if step.completed_at is None or before is None else step.completed_at - before
        shown.append(
            StepShown(
                key=step.key,
                name=step.name,
                attempts=step.attempts,
                done=step.completed_at is not None,
                lasted=lasted,
                failures=[(attempt, error_of(error)) for attempt, error, *_ in step.failures],
                result=value_lines(step.result),
            )
        )
    return shown


def error_of(error: str) -> ErrorShown:
    """Return an error. The engine adds its place as a last line of JSON (decision 26)."""
    said, _, last = error.rpartition("\n")
    if said and last.startswith('{"placet"'):
        try:
            recorded = msgspec.json.decode(last, type=_Recorded)
        except msgspec.MsgspecError:
            return ErrorShown(error, [])
        places = [
            f"{one.type}: {one.file}:{one.line}" for one in recorded.chain if one.file is not None
        ]
        return ErrorShown(said, places)
    return ErrorShown(error, [])


def value_lines(value: Any) -> list[Line]:
    """Return a value as lines, none for null."""
    return [] if value is None else fields(value)
