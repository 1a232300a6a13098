"""Sums of decisions: what is counted where, and the median time."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from api.console.views.decision_summary import MOST_ROWS, summary
from domain.approvals.state import ApprovalStatus, Verdict
from domain.values import Actor
from projections.decisions.record import DecisionRecord

ASKED = datetime(2026, 1, 1, tzinfo=UTC)


def record(
    by: str = "ann",
    seconds: float = 60,
    groups: tuple[str, ...] = (),
    verdict: Verdict = Verdict.GRANTED,
) -> DecisionRecord:
    return DecisionRecord(
        execution_id=uuid4(),
        ordinal=1,
        version=3,
        workflow="trip",
        key="go",
        round=1,
        verdict=verdict,
        by=Actor(id=by, name=None),
        asked_groups=groups,
        rule="group:finance",
        asked_at=ASKED,
        decided_at=ASKED + timedelta(seconds=seconds),
        status=ApprovalStatus.GRANTED,
    )


def test_a_row_has_its_verdicts_and_the_median_time() -> None:
    [row] = summary(
        [
            record(seconds=10),
            record(seconds=20, verdict=Verdict.REJECTED),
            record(seconds=90_000, verdict=Verdict.CHANGES_REQUESTED),
            record(seconds=30),
        ],
        "person",
    )
    assert (row.key, row.total, row.granted, row.rejected, row.changes) == ("ann", 4, 2, 1, 1)
    assert row.took == timedelta(seconds=25)


def test_a_decision_counts_for_each_group_that_was_asked() -> None:
    rows = summary(
        [record(groups=("legal", "finance")), record(groups=("legal",)), record()], "group"
    )
    assert [(row.key, row.total) for row in rows] == [("legal", 2), (None, 1), ("finance", 1)]


def test_those_with_few_are_one_row_that_counts_each_decision_once() -> None:
    often = [record(groups=(f"g{number}",)) for number in range(MOST_ROWS) for _ in range(2)]
    rows = summary([*often, record(groups=("x", "y")), record(groups=("z",))], "group")
    assert len(rows) == MOST_ROWS + 1
    assert (rows[-1].others, rows[-1].total, rows[-1].key) == (3, 2, None)


def test_without_decisions_there_is_no_row() -> None:
    assert summary([], "workflow") == []
