"""Decisions in sums: how many of each person, group, rule or workflow, and how long they took."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from statistics import median

import msgspec

from api.console.catalogue import N_
from api.console.views.audit import who
from domain.approvals.state import Verdict
from projections.decisions.record import DecisionRecord

MOST_ROWS = 10
"""Rows with a name. All others are one row."""

BY = {
    "person": N_("Person"),
    "group": N_("Group"),
    "rule": N_("Rule"),
    "workflow": N_("Workflow"),
}
"""What decisions are summed up by, with the name of the column."""


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions of one person, group, rule or workflow.

    ``key`` is what the filter of decisions takes; None: no group was asked, or it is the row of
    ``others``. ``others``: how many more names this row is about. ``took``: the median time.
    """

    key: str | None
    name: str | None
    others: int = 0
    total: int
    granted: int
    rejected: int
    changes: int
    took: timedelta


def summary(decisions: Iterable[DecisionRecord], by: str) -> list[SummaryRow]:
    """Sum decisions up by one of ``BY``, the most first.

    A decision that was asked of several groups is in the row of each.
    """
    found: defaultdict[str | None, list[DecisionRecord]] = defaultdict(list)
    for decision in decisions:
        for key in _KEYS[by](decision):
            found[key].append(decision)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0] or ""))
    rows = [
        _row(each, key=key, name=who(each[0].by) if by == "person" else key)
        for key, each in ordered[:MOST_ROWS]
    ]
    if rest := ordered[MOST_ROWS:]:
        # What was asked of two of these groups is one decision of the others.
        others = {(d.execution_id, d.version): d for _, each in rest for d in each}
        rows.append(_row(list(others.values()), key=None, name=None, others=len(rest)))
    return rows


_KEYS: dict[str, Callable[[DecisionRecord], Sequence[str | None]]] = {
    "person": lambda decision: (decision.by.id,),
    "group": lambda decision: decision.asked_groups or (None,),
    "rule": lambda decision: (decision.rule,),
    "workflow": lambda decision: (decision.workflow,),
}


def _row(
    decisions: Sequence[DecisionRecord], *, key: str | None, name: str | None, others: int = 0
) -> SummaryRow:
    verdicts = [each.verdict for each in decisions]
    return SummaryRow(
        key=key,
        name=name,
        others=others,
        total=len(decisions),
        granted=verdicts.count(Verdict.GRANTED),
        rejected=verdicts.count(Verdict.REJECTED),
        changes=verdicts.count(Verdict.CHANGES_REQUESTED),
        took=timedelta(seconds=median(each.took.total_seconds() for each in decisions)),
    )
