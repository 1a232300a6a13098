"""The read model of executions: one row for each execution, made from its state."""

from collections.abc import Sequence
from typing import Any

from domain.serialization.state_codec import encode_state
from projections.querying.full_text import execution_text
from projections.querying.hashed_terms import label_terms, person_term
from projections.runtime.read_model import Change, ReadModel, header


def _render(changes: Sequence[Change]) -> dict[str, Any]:
    states = [change.after for change in changes]
    worded = [change.after for change in changes if change.started or change.reworded]
    labels = [
        (term, change.after)
        for change in changes
        if change.started
        for term in dict.fromkeys(label_terms(change.after.labels))
    ]
    return {
        "id": [state.id for state in states],
        "version": [state.version for state in states],
        "state": [state.state.value for state in states],
        "parked": [state.parked is not None for state in states],
        "workflow": [state.workflow for state in states],
        "queue": [state.queue for state in states],
        "initiator": [person_term(state.initiator.id) for state in states],
        "started_at": [state.started_at for state in states],
        "updated_at": [state.updated_at for state in states],
        "body": [encode_state(header(state)) for state in states],
        "term_id": [state.id for state in worded],
        "document": [execution_text(state) for state in worded],
        "label": [term for term, _ in labels],
        "label_started_at": [state.started_at for _, state in labels],
        "label_id": [state.id for _, state in labels],
    }


EXECUTIONS = ReadModel(
    "executions",
    version=4,
    tables=("executions", "execution_labels", "execution_terms"),
    key=("id",),
    render=_render,
)
