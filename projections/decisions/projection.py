"""The read model of decisions: one row for each decision, made from the execution's state."""

from collections.abc import Sequence
from typing import Any

from projections.decisions.record import encode_record, records_of
from projections.querying.hashed_terms import array, group_terms, person_term, rule_term
from projections.runtime.read_model import Change, ReadModel


def _render(changes: Sequence[Change]) -> dict[str, Any]:
    records = [
        record
        for change in changes
        for ordinal, state in change.touched.items()
        for record in records_of(state, state.approvals[ordinal])
    ]
    return {
        "execution_id": [each.execution_id for each in records],
        "version": [each.version for each in records],
        "decided_at": [each.decided_at for each in records],
        "decider": [person_term(each.by.id) for each in records],
        "place": [
            None if each.on_behalf_of is None else person_term(each.on_behalf_of.id)
            for each in records
        ],
        "verdict": [each.verdict.value for each in records],
        "rule": [rule_term(each.rule) for each in records],
        "workflow": [each.workflow for each in records],
        "groups": [array(group_terms(each.asked_groups)) for each in records],
        "body": [encode_record(each) for each in records],
    }


DECISIONS = ReadModel(
    "decisions",
    version=2,
    tables=("decisions",),
    key=("execution_id", "version"),
    render=_render,
)
