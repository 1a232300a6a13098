"""The read model of events: one small row for each event, beside the log.

The log has no indexes by actor, type, queue, workflow or time: each commit would pay for them.
"""

from collections.abc import Sequence
from typing import Any, get_args

from application.event_store.reader import origin_of
from domain.aggregates import Aggregate
from projections.querying.hashed_terms import person_term, workflow_term
from projections.runtime.read_model import Change, ReadModel

BLOCK = 1_000
"""Positions whose earliest and latest time are kept together."""


def _render(changes: Sequence[Change]) -> dict[str, Any]:
    rows = sorted(
        ((event, origin_of(change.state)) for change in changes for event in change.events),
        key=lambda row: row[0].position,
    )
    recorded = [event.recorded for event, _ in rows]
    return {
        "event_position": [event.position for event, _ in rows],
        "execution_id": [each.execution_id for each in recorded],
        "at": [each.at for each in recorded],
        "actor": [person_term(each.actor.id) for each in recorded],
        "type": [type(each.event).__name__ for each in recorded],
        "queue": [state.queue for _, state in rows],
        "workflow": [workflow_term(state.workflow) for _, state in rows],
        "block": [event.position // BLOCK for event, _ in rows],
    }


EVENTS = ReadModel(
    "events",
    version=2,
    tables=("events", "event_times"),
    key=("execution_id", "event_position"),
    render=_render,
    of=get_args(Aggregate),
)
